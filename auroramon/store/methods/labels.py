"""What models say of frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auroramon.store import candidates, comparison, ledger, queries, relabel
from auroramon.store.candidates import Candidates
from auroramon.store.choice import EVERY, LabelChoice
from auroramon.store.comparison import ChangedFrame, Comparison
from auroramon.store.frames import Author
from auroramon.store.methods.opened import Opened
from auroramon.store.relabel import ALL_FRAMES, EmbeddingBatch, GateWord, JudgedBatch, Which
from auroramon.store.results import FrameKey, LabelRow, Source
from auroramon.types import FileStat


class Labels(Opened):
    """What models say."""

    def needs_label(self, files: Sequence[FileStat], model: int) -> list[FileStat]:
        """Give those files that `claim_files` would take for this model now, without taking them (a dry run)."""
        with self._db.reading() as conn:
            return ledger.needing_work(conn, self._db.codes, files, model)

    def embeddings_without_label(
        self, model: int, which: Which = ALL_FRAMES, batch: int = 1000
    ) -> Iterator[EmbeddingBatch]:
        """Give batches of frames without a label of this model whose embedding is of its embedder.

        Each batch is a short read of its own, so labels may be added in between.
        """
        after = None
        while True:
            with self._db.reading() as conn:
                found = relabel.embeddings_without_label(conn, model, which, batch, after)
            if not found:
                return
            yield found
            after = FrameKey(found.files[-1], found.indices[-1])

    def gate_words_without_label(
        self, model: int, which: Which = ALL_FRAMES, batch: int = 1000
    ) -> Iterator[Sequence[GateWord]]:
        """Give batches of frames without a label of this model that gates in front of its embedder refused."""
        after = None
        while True:
            with self._db.reading() as conn:
                found = relabel.gate_words_without_label(conn, model, which, batch, after)
            if not found:
                return
            yield found
            after = found[-1].key

    def count_without_label(self, model: int, which: Which = ALL_FRAMES) -> int:
        """Count the frames that this model has not labelled."""
        with self._db.reading() as conn:
            return relabel.count_without_label(conn, model, which)

    def add_judged(self, run: int, judged: JudgedBatch, *, model: int, source: Source = "relabel") -> int:
        """Add labels of this model to known frames; give how many were new. Adding twice is adding once."""
        with self._db.writing(durable=True) as conn:
            return relabel.add_judged(conn, self._db.codes, Author(model, run, source), judged)

    def add_gate_words(self, run: int, words: Sequence[GateWord], *, model: int, source: Source = "relabel") -> int:
        """Add what gates said as labels of this model; give how many were new. Adding twice is adding once."""
        with self._db.writing(durable=True) as conn:
            return relabel.add_gate_words(conn, Author(model, run, source), words)

    def labels(
        self, choice: LabelChoice = EVERY, *, newest_first: bool = False, limit: int | None = None
    ) -> Iterator[LabelRow]:
        """Stream the current labels of a choice, by time."""
        with self._db.reading() as conn:
            yield from queries.labels(conn, choice, newest_first=newest_first, limit=limit)

    def compare(self, a: int, b: int, which: Which = ALL_FRAMES) -> Comparison:
        """Give what two models said of the same frames: counts, and the frames that a person labelled."""
        with self._db.reading() as conn:
            return comparison.compare(conn, a, b, which)

    def changed(self, a: int, b: int, which: Which = ALL_FRAMES) -> Iterator[ChangedFrame]:
        """Stream the frames that two models label differently, by time."""
        with self._db.reading() as conn:
            yield from comparison.changed(conn, a, b, which)

    def candidates(self, model: int, which: Which = ALL_FRAMES, batch: int = 5000) -> Iterator[Candidates]:
        """Stream the frames that this model labelled and no person did."""
        with self._db.reading() as conn:
            yield from candidates.candidates(conn, model, which, batch)
