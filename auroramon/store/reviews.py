"""A person's words: found by frame, added beside earlier ones, never changed and never overwritten by a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, Select, func, insert, select

from auroramon.store.changes import labels_of_files_changed
from auroramon.store.codes import Codes, label_codes, split
from auroramon.store.encoding import day_date, epoch, moment, unpack
from auroramon.store.months import same_frame
from auroramon.store.relabel import Which
from auroramon.store.results import FrameKey
from auroramon.store.schema import (
    cameras,
    channels,
    embedders,
    embeddings,
    files,
    folders,
    frames,
    label_names,
    labels,
    reviews,
)

NEAR_S = 0.000_6
"""Times are printed to the millisecond; a frame is found by a printed time within half of that."""


@dataclass(frozen=True, slots=True)
class FoundFrame:
    """A frame as a person may have named it."""

    key: FrameKey
    path: str
    camera: str
    channel: str
    time: datetime  # aware UTC


@dataclass(frozen=True, slots=True)
class NewReview:
    """What a person says of a frame that the store has."""

    frame: FoundFrame
    label: str
    reviewer: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """What a person said of a frame."""

    frame: FoundFrame
    label: str
    reviewer: str
    note: str
    made: datetime  # aware UTC
    current: bool  # nobody said anything of this frame later


@dataclass(frozen=True, slots=True)
class ReviewedFrame:
    """The newest word of a person on a frame, with what a network sees in the frame."""

    key: FrameKey
    camera: str
    night: date
    time: datetime  # aware UTC
    label: str
    vector: NDArray[np.float16] | None  # (D,); None: no embedding of this embedder
    refused: bool  # a gate stood before the network, so there can be no embedding


def _frames() -> Select[tuple[int, int, str, str, str, str, float]]:
    return (
        select(
            frames.c.file_id,
            frames.c.frame_index,
            folders.c.path,
            files.c.name,
            cameras.c.name.label("camera"),
            channels.c.name.label("channel"),
            frames.c.time_utc,
        )
        .join(files, files.c.id == frames.c.file_id)
        .join(folders, folders.c.id == files.c.folder_id)
        .join(cameras, cameras.c.id == frames.c.camera_id)
        .join(channels, channels.c.id == frames.c.channel_id)
    )


def _found(row: Row[tuple[int, int, str, str, str, str, float]]) -> FoundFrame:
    key = FrameKey(row.file_id, row.frame_index)
    return FoundFrame(key, row.path + row.name, row.camera, row.channel, moment(row.time_utc))


def frames_of_file(conn: Connection, path: str) -> list[FoundFrame]:
    """Give the frames of a file, by index; none where the file is not known or gave none."""
    folder, name = split(path)
    query = _frames().where(folders.c.path == folder, files.c.name == name).order_by(frames.c.frame_index)
    return [_found(row) for row in conn.execute(query)]


def frames_at(conn: Connection, camera: str, time: datetime) -> list[FoundFrame]:
    """Give the frames of a camera whose exposure began at this time, to the millisecond."""
    at = epoch(time)
    query = _frames().where(cameras.c.name == camera, frames.c.time_utc.between(at - NEAR_S, at + NEAR_S))
    return [_found(row) for row in conn.execute(query.order_by(frames.c.file_id, frames.c.frame_index))]


def frames_of(conn: Connection, keys: Sequence[FrameKey]) -> list[FoundFrame]:
    """Give these frames, in this order."""
    found: dict[FrameKey, FoundFrame] = {}
    for key in keys:
        query = _frames().where(frames.c.file_id == key.file_id, frames.c.frame_index == key.frame_index)
        found[key] = _found(conn.execute(query).one())
    return [found[key] for key in keys]


def known_labels(conn: Connection) -> set[str]:
    """Give every label that a model or a person has used here, and those that every database knows."""
    return set(conn.scalars(select(label_names.c.name)))


def add_reviews(conn: Connection, codes: Codes, new: Sequence[NewReview], now: float) -> list[NewReview]:
    """Add words, and give those that were new: a reviewer who says again what he said last of a frame adds nothing."""
    numbers = label_codes(codes, conn, {review.label for review in new})
    added = [review for review in new if _last(conn, review) != (numbers[review.label], review.note)]
    if added:
        times = [epoch(review.frame.time) for review in added]
        labels_of_files_changed(conn, [review.frame.key.file_id for review in added], times)
        conn.execute(
            insert(reviews),
            [
                {
                    "file_id": review.frame.key.file_id,
                    "frame_index": review.frame.key.frame_index,
                    "time_utc": epoch(review.frame.time),
                    "label_id": numbers[review.label],
                    "reviewer": review.reviewer,
                    "note": review.note,
                    "made_at": now,
                }
                for review in added
            ],
        )
    return added


def _last(conn: Connection, review: NewReview) -> tuple[int, str] | None:
    """Give what this reviewer said last of this frame, as label and note."""
    key = review.frame.key
    query = (
        select(reviews.c.label_id, reviews.c.note)
        .where(reviews.c.file_id == key.file_id, reviews.c.frame_index == key.frame_index)
        .where(reviews.c.time_utc == epoch(review.frame.time), reviews.c.reviewer == review.reviewer)
        .order_by(reviews.c.id.desc())
        .limit(1)
    )
    row = conn.execute(query).one_or_none()
    return None if row is None else (row.label_id, row.note)


def _newest() -> Select[tuple[int | None]]:
    """Give the number of the newest word on each frame."""
    return select(func.max(reviews.c.id)).group_by(reviews.c.file_id, reviews.c.frame_index, reviews.c.time_utc)


def all_reviews(conn: Connection, which: Which) -> Iterator[ReviewRow]:
    """Stream every word ever said of frames that are still there, by time of the frame, then by when it was said."""
    same = (
        (reviews.c.file_id == frames.c.file_id)
        & (reviews.c.frame_index == frames.c.frame_index)
        & (reviews.c.time_utc == frames.c.time_utc)
    )
    query = (
        _frames()
        .add_columns(
            label_names.c.name.label("label"),
            reviews.c.reviewer,
            reviews.c.note,
            reviews.c.made_at,
            reviews.c.id.in_(_newest()).label("current"),
        )
        .join(reviews, same)
        .join(label_names, label_names.c.id == reviews.c.label_id)
        .where(*which.conditions())
        .order_by(frames.c.time_utc, cameras.c.name, reviews.c.id)
    )
    for row in conn.execute(query):
        yield ReviewRow(_found(row), row.label, row.reviewer, row.note, moment(row.made_at), bool(row.current))


def reviewed_frames(conn: Connection, embedder_digest: str, which: Which) -> list[ReviewedFrame]:
    """Give the newest word on each frame with the frame's embedding, by time of the frame and by camera."""
    embedder = select(embedders.c.id).where(embedders.c.digest == embedder_digest).scalar_subquery()
    same = (reviews.c.file_id == frames.c.file_id) & (reviews.c.frame_index == frames.c.frame_index)
    its = same_frame(conn, embeddings, frames) & (embeddings.c.embedder_id == embedder)
    gate = (
        select(labels.c.model_id).where(same_frame(conn, labels, frames)).where(labels.c.confidence.is_(None)).exists()
    )
    query = (
        select(
            frames.c.file_id,
            frames.c.frame_index,
            frames.c.night,
            frames.c.time_utc,
            cameras.c.name.label("camera"),
            label_names.c.name.label("label"),
            embeddings.c.vector,
            gate.label("refused"),
        )
        .join(reviews, same & (reviews.c.time_utc == frames.c.time_utc))
        .join(cameras, cameras.c.id == frames.c.camera_id)
        .join(label_names, label_names.c.id == reviews.c.label_id)
        .outerjoin(embeddings, its)
        .where(reviews.c.id.in_(_newest()), *which.conditions())
        .order_by(frames.c.time_utc, cameras.c.name, frames.c.file_id, frames.c.frame_index)
    )
    return [
        ReviewedFrame(
            key=FrameKey(row.file_id, row.frame_index),
            camera=row.camera,
            night=day_date(row.night),
            time=moment(row.time_utc),
            label=row.label,
            vector=None if row.vector is None else unpack(row.vector),
            refused=row.vector is None and bool(row.refused),
        )
        for row in conn.execute(query)
    ]
