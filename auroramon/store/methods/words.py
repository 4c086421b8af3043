"""A person's words, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from auroramon.store import candidates, reviews
from auroramon.store.encoding import epoch
from auroramon.store.methods.opened import Opened
from auroramon.store.relabel import ALL_FRAMES, Which
from auroramon.store.results import FrameKey
from auroramon.store.reviews import FoundFrame, NewReview, ReviewedFrame, ReviewRow


class Words(Opened):
    """What people say."""

    def frames_of_file(self, path: str) -> list[FoundFrame]:
        """Give the frames of a file, by index; none where it is not known or gave none."""
        with self._db.reading() as conn:
            return reviews.frames_of_file(conn, path)

    def frames_at(self, camera: str, time: datetime) -> list[FoundFrame]:
        """Give the frames of a camera whose exposure began at this time, to the millisecond."""
        with self._db.reading() as conn:
            return reviews.frames_at(conn, camera, time)

    def frames_of(self, keys: Sequence[FrameKey]) -> list[FoundFrame]:
        """Give these frames, in this order."""
        with self._db.reading() as conn:
            return reviews.frames_of(conn, keys)

    def known_labels(self) -> set[str]:
        """Give every label that a model or a person has used."""
        with self._db.reading() as conn:
            return reviews.known_labels(conn)

    def add_reviews(self, new: Sequence[NewReview], now: datetime) -> list[NewReview]:
        """Add what people say, all or nothing; give what was new. Adding twice is adding once."""
        with self._db.writing(durable=True) as conn:
            return reviews.add_reviews(conn, self._db.codes, new, epoch(now))

    def reviews(self, which: Which = ALL_FRAMES) -> Iterator[ReviewRow]:
        """Stream what people said, by time of the frame, then by when they said it."""
        with self._db.reading() as conn:
            yield from reviews.all_reviews(conn, which)

    def reviewed_frames(self, embedder_digest: str, which: Which = ALL_FRAMES) -> list[ReviewedFrame]:
        """Give the newest word on each frame, with the frame's embedding by this embedder, by time."""
        with self._db.reading() as conn:
            return reviews.reviewed_frames(conn, embedder_digest, which)

    def reviewed_vectors(self, model: int, which: Which = ALL_FRAMES) -> NDArray[np.float16]:
        """Give (N,D) embeddings, by the embedder of this model, of the frames that a person has labelled."""
        with self._db.reading() as conn:
            return candidates.reviewed_vectors(conn, model, which)
