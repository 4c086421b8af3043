"""Two models' labels of the same frames, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, func, select

from auroramon.store.encoding import day_date, moment
from auroramon.store.months import same_frame
from auroramon.store.relabel import Which
from auroramon.store.schema import cameras, files, folders, frames, label_names, labels, reviews

_A, _B = labels.alias("a"), labels.alias("b")
_NAME_A, _NAME_B = label_names.alias("name_a"), label_names.alias("name_b")


@dataclass(frozen=True, slots=True)
class Transition:
    """How many frames of one camera and night had one label and have another (or the same)."""

    camera: str
    night: date
    a: str
    b: str
    frames: int


@dataclass(frozen=True, slots=True)
class LabelledFrames:
    """How many frames which of two models has labelled."""

    a: int
    b: int
    both: int


@dataclass(frozen=True, slots=True)
class ChangedFrame:
    """A frame that two models label differently."""

    path: str
    frame_index: int
    camera: str
    night: date
    time: datetime  # aware UTC
    a: str
    a_confidence: float | None  # None where a gate refused
    b: str
    b_confidence: float | None
    human: str | None  # the newest word of a person


@dataclass(frozen=True, slots=True)
class Judged:
    """A frame that two models and a person labelled."""

    camera: str
    night: date
    human: str
    a: str
    b: str
    made: datetime  # aware UTC; when the person said it


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that is counted of two models, of one moment of the database."""

    transitions: list[Transition]
    labelled: LabelledFrames
    judged: list[Judged]  # frames that both models and a person labelled, by time


def _pairs(conn: Connection, query: Select[Any], a: int, b: int, which: Which) -> Select[Any]:
    """Join `frames` with the labels of both models and their names."""
    return (
        query.select_from(frames)
        .join(_A, and_(same_frame(conn, _A, frames), _A.c.model_id == a))
        .join(_B, and_(same_frame(conn, _B, frames), _B.c.model_id == b))
        .join(_NAME_A, _NAME_A.c.id == _A.c.label_id)
        .join(_NAME_B, _NAME_B.c.id == _B.c.label_id)
        .join(cameras, cameras.c.id == frames.c.camera_id)
        .where(*which.conditions())
    )


def compare(conn: Connection, a: int, b: int, which: Which) -> Comparison:
    """Give everything that is counted of two models."""
    return Comparison(_transitions(conn, a, b, which), _labelled_frames(conn, a, b, which), _judged(conn, a, b, which))


def _transitions(conn: Connection, a: int, b: int, which: Which) -> list[Transition]:
    """Count the frames that both models labelled, by camera, night and the two labels."""
    columns = (cameras.c.name, frames.c.night, _NAME_A.c.name, _NAME_B.c.name)
    query = _pairs(conn, select(*columns, func.count()), a, b, which).group_by(*columns).order_by(*columns)
    return [
        Transition(camera, day_date(night), was, is_now, count)
        for camera, night, was, is_now, count in conn.execute(query)
    ]


def _labelled_frames(conn: Connection, a: int, b: int, which: Which) -> LabelledFrames:
    """Count what each model labelled, each for itself: what the transitions must add up to."""

    def count(*models: int) -> int:
        query = select(func.count()).select_from(frames).where(*which.conditions())
        for model in models:
            own = select(labels.c.model_id).where(same_frame(conn, labels, frames), labels.c.model_id == model)
            query = query.where(own.exists())
        return int(conn.execute(query).scalar_one())

    return LabelledFrames(count(a), count(b), count(a, b))


def _newest_word() -> Any:
    return (
        select(func.max(reviews.c.id))
        .where(reviews.c.file_id == frames.c.file_id, reviews.c.frame_index == frames.c.frame_index)
        .where(reviews.c.time_utc == frames.c.time_utc)
        .correlate(frames)
        .scalar_subquery()
    )


def changed(conn: Connection, a: int, b: int, which: Which) -> Iterator[ChangedFrame]:
    """Stream the frames that the models label differently, by time."""
    human = label_names.alias("human")
    query = _pairs(
        conn,
        select(
            folders.c.path, files.c.name, frames.c.frame_index, cameras.c.name.label("camera"), frames.c.night,
            frames.c.time_utc, _NAME_A.c.name.label("a"), _A.c.confidence.label("a_confidence"),
            _NAME_B.c.name.label("b"), _B.c.confidence.label("b_confidence"), human.c.name.label("human"),
        ),
        a, b, which,
    )  # fmt: skip
    query = (
        query.join(files, files.c.id == frames.c.file_id)
        .join(folders, folders.c.id == files.c.folder_id)
        .outerjoin(reviews, reviews.c.id == _newest_word())
        .outerjoin(human, human.c.id == reviews.c.label_id)
        .where(_A.c.label_id != _B.c.label_id)
        .order_by(frames.c.time_utc, cameras.c.name, frames.c.file_id, frames.c.frame_index)
    )
    for row in conn.execution_options(yield_per=1000).execute(query):
        path, name, index, camera, night, time, was, was_sure, is_now, now_sure, word = row
        yield ChangedFrame(
            path + name,
            index,
            camera,
            day_date(night),
            moment(time),
            was,
            _part(was_sure),
            is_now,
            _part(now_sure),
            word,
        )


def _part(millionths: int | None) -> float | None:
    return None if millionths is None else millionths / 1_000_000


def _judged(conn: Connection, a: int, b: int, which: Which) -> list[Judged]:
    """Give the frames that both models and a person labelled, by time."""
    human = label_names.alias("human")
    columns = (cameras.c.name, frames.c.night, human.c.name, _NAME_A.c.name, _NAME_B.c.name, reviews.c.made_at)
    query = (
        _pairs(conn, select(*columns), a, b, which)
        .join(reviews, reviews.c.id == _newest_word())
        .join(human, human.c.id == reviews.c.label_id)
        .order_by(frames.c.time_utc, frames.c.file_id, frames.c.frame_index)
    )
    return [
        Judged(camera, day_date(night), word, was, is_now, moment(made))
        for camera, night, word, was, is_now, made in conn.execute(query)
    ]
