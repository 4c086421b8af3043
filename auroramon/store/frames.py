"""Writes frames, embeddings and labels, each once, and tells which frames another file had brought before."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, select, tuple_, update
from sqlalchemy.dialects import postgresql

from auroramon.sky import observing_night
from auroramon.store.accounts import count_moves, moved
from auroramon.store.changes import labels_changed, labels_of_files_changed
from auroramon.store.codes import Codes, label_codes
from auroramon.store.encoding import day_number, epoch, pack, scaled
from auroramon.store.ledger import FileRow
from auroramon.store.months import is_divided, within
from auroramon.store.results import Source
from auroramon.store.schema import (
    LABELLED,
    PENDING,
    SKIPPED,
    SOURCES,
    TIME_SOURCES,
    cameras,
    channels,
    duplicates,
    embeddings,
    files,
    folders,
    frames,
    labels,
    models,
    nights,
)
from auroramon.types import Classification, LabelRecord

log = logging.getLogger(__name__)

_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]
_Values = tuple[Any, ...]  # of all columns of a table, in their order
_Key = tuple[int, int]  # file, index
_Identity = tuple[int, int, float, int | None]  # camera, channel, time, twin


# Built once, like those of the ledger.
_LONGITUDES = select(cameras.c.name, cameras.c.longitude).where(cameras.c.name.in_(bindparam("names", expanding=True)))
_EMBEDDER = select(models.c.embedder_id).where(models.c.id == bindparam("model"))


@dataclass(frozen=True, slots=True)
class Author:
    """By whom labels are."""

    model: int
    run: int
    source: Source


@dataclass(frozen=True, slots=True)
class _Frame:
    file: FileRow
    record: LabelRecord
    key: _Key
    identity: _Identity
    night: int

    def values(self) -> _Values:
        record = self.record
        return (
            *self.key,
            *self.identity,
            TIME_SOURCES[record.info.time_source],
            self.night,
            scaled(record.sun_altitude, 100),
            scaled(record.moon_altitude, 100),
            scaled(record.moon_phase, 10_000),
        )


@dataclass(frozen=True, slots=True)
class Copies:
    """Frames of one file that other files had brought before."""

    number: int
    of: str  # path of the first of those files


@dataclass(frozen=True, slots=True)
class Written:
    """What was new."""

    records: tuple[LabelRecord, ...]  # newly labelled
    new_by_file: Mapping[int, int]  # newly labelled frames by number of the file
    copies: Mapping[int, Copies]  # by number of the file
    reopened: frozenset[int]  # files that were duplicates of an older content, and are pending again


def write(
    conn: Connection, codes: Codes, author: Author, work: Sequence[tuple[FileRow, Sequence[LabelRecord]]]
) -> Written:
    """Write the frames of these files and their labels by one author; what is there already stays as it is.

    A file has each of its frames once. Where tables are divided by months no key says so, since one must contain the
    time, and it is held here, under the writer's lock: of an index that comes twice the first is taken, a file that was
    never done has no frames (they are written with its end), and of one that was, `_forget` takes away those that
    would come again at another time.
    """
    offered = _prepare(conn, codes, work)
    done_before = [file for file, _ in work if file.done_at is not None]
    labelled: set[_Key] = set()
    reopened: frozenset[int] = frozenset()
    if done_before:
        reopened = _forget(conn, done_before, offered)
        labelled = _labelled_by(conn, author.model, [file.id for file in done_before], offered)
    kept = _insert_frames(conn, [file.id for file, _ in work], offered)
    lost = [] if kept is None else [frame for frame in offered if frame.key not in kept]
    fresh = [frame for frame in offered if (kept is None or frame.key in kept) and frame.key not in labelled]
    _insert_labels(conn, codes, author, fresh)
    labels_changed(conn, [(frame.identity[0], frame.night, frame.identity[2]) for frame in fresh])
    return Written(
        records=tuple(frame.record for frame in fresh),
        new_by_file=Counter(frame.file.id for frame in fresh),
        copies=_note_copies(conn, lost),
        reopened=reopened,
    )


def insert_new(conn: Connection, table: Table, rows: Sequence[_Values]) -> int:
    """Insert those rows (all columns, in order) whose keys are not there yet, and say how many."""
    if not rows:
        return 0
    # Past the compiler: naming and sorting each value again for each row costs as much as writing the row.
    counted = {"preserve_rowcount": True}
    if conn.dialect.name == "sqlite":
        return conn.exec_driver_sql(_insert_rows(table), list(rows), execution_options=counted).rowcount
    columns = tuple(list(column) for column in zip(*rows, strict=True))
    return conn.exec_driver_sql(_insert_columns(table), columns, execution_options=counted).rowcount


@lru_cache(maxsize=32)
def _insert_rows(table: Table) -> str:
    marks = ", ".join("?" * len(table.columns))
    return f"{_into(table)} VALUES ({marks}) ON CONFLICT DO NOTHING"


@lru_cache(maxsize=32)
def _insert_columns(table: Table) -> str:
    """Give the statement that takes an array for each column: one message to the server, whatever the number of rows.

    Twice the pace of a message a row, and faster than COPY, whose rows have to be inserted a second time to be let pass
    where they are there already (benchmarks/writers.py). In binary (%b): as text a thousand floats or embeddings
    take the driver seven to ten times as long, in which other writers wait.
    """
    arrays = ", ".join(f"%b::{column.type.compile(dialect=_POSTGRESQL)}[]" for column in table.columns)
    return f"{_into(table)} SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING"  # noqa: S608 (our own names)


def _into(table: Table) -> str:
    return f"INSERT INTO {table.name} ({', '.join(table.columns.keys())})"


def label_values(
    key: _Key, classification: Classification, codes: Mapping[str, int], author: Author, time: float | None = None
) -> _Values:
    """Give a row of `labels`; `time` is that of the frame where the tables are divided by months."""
    return (
        *key,
        author.model,
        author.run,
        codes[classification.label],
        scaled(classification.confidence, 1_000_000),
        pack(classification.scores),
        scaled(classification.distance, 1000),
        classification.reason or None,
        SOURCES[author.source],
        time,
    )


def _prepare(conn: Connection, codes: Codes, work: Sequence[tuple[FileRow, Sequence[LabelRecord]]]) -> list[_Frame]:
    infos = [record.info for _, records in work for record in records]
    camera_ids = codes.make(conn, cameras, {info.camera for info in infos})
    channel_ids = codes.make(conn, channels, {info.channel for info in infos})
    longitudes = {row[0]: row[1] for row in conn.execute(_LONGITUDES, {"names": list(camera_ids)})}

    def of_file(file: FileRow, records: Sequence[LabelRecord]) -> Iterator[_Frame]:
        twins: Counter[tuple[int, int, float]] = Counter()
        for record in records:
            info = record.info
            same = (camera_ids[info.camera], channel_ids[info.channel], epoch(info.time))
            twin = None if info.time_source == "mtime" else twins[same]
            night = day_number(observing_night(info.time, longitudes[info.camera]))
            yield _Frame(file, record, (file.id, info.index), (*same, twin), night)
            twins[same] += 1

    by_key: dict[_Key, _Frame] = {}
    for file, records in work:
        for frame in of_file(file, records):
            by_key.setdefault(frame.key, frame)
    return list(by_key.values())


def _forget(conn: Connection, done_before: Sequence[FileRow], offered: Sequence[_Frame]) -> frozenset[int]:
    """Drop what rests on an older content of these files, or on an older reading of the same content.

    Gives the files that are to be done again for it.
    """
    conn.execute(delete(duplicates).where(duplicates.c.file_id.in_([file.id for file in done_before])))
    stale = {file.id for file in done_before if file.rewritten}
    reread = _read_differently(conn, [file.id for file in done_before if not file.rewritten], offered)
    if reread:
        log.warning(
            "%d known files give frames of another camera, time or channel with the settings of now: what was said of "
            "their earlier frames, by any model, goes with these", len(reread),
        )  # fmt: skip
    stale |= reread
    if not stale:
        return frozenset()
    # Whoever was a duplicate of the old content may now be the only one to have a frame: it is done again.
    copies = select(duplicates.c.file_id).where(duplicates.c.original_id.in_(stale))
    again = files.c.id.in_(copies) & files.c.state.in_([LABELLED, SKIPPED])
    states = {row.id: row.state for row in conn.execute(select(files.c.id, files.c.state).where(again))}
    if states:
        conn.execute(update(files).where(files.c.id.in_(states)).values(state=PENDING, tries=0))
        count_moves(conn, moved(states.values(), PENDING))
    labels_of_files_changed(conn, stale)
    for table in (labels, embeddings, frames):
        conn.execute(delete(table).where(table.c.file_id.in_(stale)))
    return frozenset(states)


def _read_differently(conn: Connection, file_ids: Sequence[int], offered: Sequence[_Frame]) -> set[int]:
    """Give files whose frames now have another camera, time or channel: settings or a reader were corrected."""
    new = {frame.key: frame.identity[:3] for frame in offered}
    query = select(
        frames.c.file_id, frames.c.frame_index, frames.c.camera_id, frames.c.channel_id, frames.c.time_utc
    ).where(frames.c.file_id.in_(file_ids))
    return {
        file_id
        for file_id, index, *identity in conn.execute(query)
        if new.get((file_id, index), tuple(identity)) != tuple(identity)
    }


def _labelled_by(conn: Connection, model: int, file_ids: Sequence[int], offered: Sequence[_Frame]) -> set[_Key]:
    query = (
        select(labels.c.file_id, labels.c.frame_index)
        .where(labels.c.file_id.in_(file_ids), labels.c.model_id == model)
        .where(within(conn, labels, _times(offered)))
    )
    return {(file_id, index) for file_id, index in conn.execute(query)}


def _insert_frames(conn: Connection, file_ids: Sequence[int], offered: Sequence[_Frame]) -> set[_Key] | None:
    """Insert frames and their nights; give the keys that these files have now, or None where all got in."""
    seen = sorted({(frame.identity[0], frame.night) for frame in offered})
    insert_new(conn, nights, [(camera, night, None) for camera, night in seen])
    if insert_new(conn, frames, [frame.values() for frame in offered]) == len(offered):
        return None
    query = select(frames.c.file_id, frames.c.frame_index).where(frames.c.file_id.in_(file_ids))
    return {(file_id, index) for file_id, index in conn.execute(query.where(within(conn, frames, _times(offered))))}


def _times(offered: Sequence[_Frame]) -> list[float]:
    return [frame.identity[2] for frame in offered]


def _insert_labels(conn: Connection, codes: Codes, author: Author, fresh: Sequence[_Frame]) -> None:
    numbers = label_codes(codes, conn, {frame.record.classification.label for frame in fresh})
    embedder = conn.scalar(_EMBEDDER, {"model": author.model})
    divided = is_divided(conn)
    timed = [(frame, frame.identity[2] if divided else None) for frame in fresh]
    seen = [(frame, time, frame.record.embedding) for frame, time in timed if frame.record.embedding is not None]
    rows = [(*frame.key, embedder, pack(vector), time) for frame, time, vector in seen]
    insert_new(conn, embeddings, rows)
    words = [label_values(frame.key, frame.record.classification, numbers, author, time) for frame, time in timed]
    insert_new(conn, labels, words)


def _note_copies(conn: Connection, lost: Sequence[_Frame]) -> dict[int, Copies]:
    """Remember whose duplicates these frames are, in case the original changes."""
    originals = _originals(conn, lost)
    pairs = sorted({(frame.file.id, originals[frame.identity][0]) for frame in lost})
    insert_new(conn, duplicates, pairs)
    numbers = Counter(frame.file.id for frame in lost)
    first = {frame.file.id: originals[frame.identity][1] for frame in reversed(lost)}
    return {file_id: Copies(number, first[file_id]) for file_id, number in numbers.items()}


def _originals(conn: Connection, lost: Sequence[_Frame]) -> dict[_Identity, tuple[int, str]]:
    """Give the file that has each of these frames, as number and path."""
    columns = (frames.c.camera_id, frames.c.channel_id, frames.c.time_utc, frames.c.twin)
    keys = sorted({frame.identity for frame in lost})
    found: dict[_Identity, tuple[int, str]] = {}
    for start in range(0, len(keys), 250):
        query = (
            select(*columns, files.c.id, folders.c.path, files.c.name)
            .join(files, files.c.id == frames.c.file_id)
            .join(folders, folders.c.id == files.c.folder_id)
            .where(tuple_(*columns).in_(keys[start : start + 250]))
            .where(within(conn, frames, [key[2] for key in keys[start : start + 250]]))
        )
        for camera, channel, time, twin, number, folder, name in conn.execute(query):
            found[camera, channel, time, twin] = (number, folder + name)
    return found
