"""Writes what became of files: frames, embeddings, labels and the ends of the files, in one transaction.

Committing the same outcomes again changes nothing. A frame is (camera, time, channel): the first file that brings it
keeps it, and a file all of whose frames are known from elsewhere is `skipped`. Frames of one file that carry the same
time (a burst whose clock counts whole seconds) are twins, not duplicates: all are kept, and a copy of that file finds
each of its twins again. Frames whose time is only the file's mtime are nobody's duplicates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from auroramon.sky import observing_night
from auroramon.store.codes import Codes, label_codes
from auroramon.store.encoding import day_number, epoch, pack, scaled
from auroramon.store.ledger import MAX_CRASHES, FileRow, find, offer
from auroramon.store.results import Committed, FileResult, Source
from auroramon.store.schema import (
    LABELLED,
    PENDING,
    QUARANTINED,
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
from auroramon.types import Classification, FileOutcome, LabelRecord, Outcome

_Row = dict[str, Any]
_Key = tuple[int, int]  # file, index


@dataclass(frozen=True, slots=True)
class _Work:
    """A file whose outcome is about to be written."""

    place: int  # in the caller's order
    row: FileRow
    outcome: FileOutcome


@dataclass(slots=True)
class _Commit:
    """One transaction's worth of outcomes."""

    conn: Connection
    codes: Codes
    run: int
    model: int
    source: Source
    now: float
    results: dict[int, FileResult] = field(default_factory=dict)  # by place
    records: list[LabelRecord] = field(default_factory=list)
    ends: list[_Row] = field(default_factory=list)

    def end(self, work: _Work, word: Outcome, reason: str = "", **changes: Any) -> None:
        """Write how a file ended; what is not named becomes what an orderly end leaves."""
        row = work.row
        self.results[work.place] = FileResult(work.outcome.file, word, reason)
        self.ends.append(
            {
                "row": row.id,
                "state": row.state,
                "reason": reason or None,
                "tries": 0,
                "crashes": row.crashes,
                "rewritten": row.rewritten,
                "not_before": None,
                "claimed_by": None,
                "done_at": row.done_at,
            }
            | changes
        )


def commit(
    conn: Connection,
    codes: Codes,
    run: int,
    outcomes: Sequence[FileOutcome],
    *,
    model: int,
    source: Source,
    now: float,
    retry_after_s: float,
) -> Committed:
    """Write the outcomes of files, and say what was new in them."""
    job = _Commit(conn, codes, run, model, source, now)
    to_label: list[_Work] = []
    for work in _with_rows(job, outcomes):
        if not work.row.is_same(work.outcome.file):
            _end_changed(job, work)
        elif work.outcome.outcome is Outcome.LABELLED:
            to_label.append(work)
        else:
            _end_without_labels(job, work, retry_after_s)
    if to_label:
        _write_labelled(job, to_label)
    if job.ends:
        conn.execute(update(files).where(files.c.id == bindparam("row")), job.ends)
    return Committed(tuple(job.results[place] for place in sorted(job.results)), tuple(job.records))


def _with_rows(job: _Commit, outcomes: Sequence[FileOutcome]) -> list[_Work]:
    """Find the ledger's row of each file; a path that comes twice in one commit counts once."""
    first: dict[str, int] = {}
    for place, outcome in enumerate(outcomes):
        if first.setdefault(outcome.file.path, place) != place:
            job.results[place] = FileResult(outcome.file, Outcome.KNOWN, "")
    rows = find(job.conn, job.codes, first)
    strangers = [outcomes[place].file for path, place in first.items() if path not in rows]
    if strangers:
        offer(job.conn, job.codes, strangers, job.now)
        rows = find(job.conn, job.codes, first)
    return [_Work(place, rows[path], outcomes[place]) for path, place in first.items()]


def _end_changed(job: _Commit, work: _Work) -> None:
    reason = "changed while it was being read"
    if work.row.claimed_by == job.run:
        job.end(work, Outcome.NOT_READY, reason)
    else:
        job.results[work.place] = FileResult(work.outcome.file, Outcome.NOT_READY, reason)


def _end_without_labels(job: _Commit, work: _Work, retry_after_s: float) -> None:
    row, outcome = work.row, work.outcome
    relabelled = row.state == LABELLED  # it was claimed for another model; its labels stand
    if row.claimed_by != job.run and (row.claimed_by is not None or row.state != PENDING):
        job.results[work.place] = FileResult(outcome.file, Outcome.KNOWN, "")  # somebody else has it, or had it
    elif outcome.outcome is Outcome.CRASHED:
        _end_crashed(job, work)
    elif outcome.outcome is Outcome.QUARANTINED:
        job.end(work, Outcome.QUARANTINED, outcome.reason, state=QUARANTINED, done_at=int(job.now))
    elif outcome.outcome is Outcome.SKIPPED:
        state = LABELLED if relabelled else SKIPPED
        job.end(work, Outcome.SKIPPED, outcome.reason, state=state, crashes=0, done_at=int(job.now))
    else:
        later = None if relabelled else job.now + retry_after_s
        job.end(work, outcome.outcome, outcome.reason, not_before=later)


def _end_crashed(job: _Commit, work: _Work) -> None:
    row = work.row
    crashes = row.crashes + 1
    if crashes < MAX_CRASHES:
        job.end(work, Outcome.CRASHED, work.outcome.reason, tries=row.tries, crashes=crashes)
        return
    reason = f"crashed the worker {crashes} times"
    if work.outcome.reason:
        reason += f": {work.outcome.reason}"
    job.end(
        work,
        Outcome.QUARANTINED,
        reason,
        state=QUARANTINED,
        tries=row.tries,
        crashes=crashes,
        done_at=int(job.now),
    )


def _write_labelled(job: _Commit, works: Sequence[_Work]) -> None:
    done_before = [work.row for work in works if work.row.done_at is not None]
    if done_before:
        _forget(job.conn, done_before)
    frame_rows = _frame_rows(job, works)
    kept = _insert_frames(job, works, frame_rows)
    labelled = _labelled_already(job, [row.id for row in done_before if not row.rewritten])
    fresh = [
        (work, row, record)
        for work, row, record in frame_rows
        if (kept is None or (row["file_id"], row["frame_index"]) in kept)
        and (row["file_id"], row["frame_index"]) not in labelled
    ]
    _insert_labels(job, fresh)
    job.records += [record for _, _, record in fresh]
    news = Counter(work.row.id for work, _, _ in fresh)
    lost = [] if kept is None else [row for _, row, _ in frame_rows if (row["file_id"], row["frame_index"]) not in kept]
    _end_labelled(job, works, news, lost)


def _forget(conn: Connection, rows: Sequence[FileRow]) -> None:
    """Drop what rested on an older content of these files."""
    conn.execute(delete(duplicates).where(duplicates.c.file_id.in_([row.id for row in rows])))
    rewritten = [row.id for row in rows if row.rewritten]
    if not rewritten:
        return
    # Whoever was a duplicate of the old content may now be the only one to have a frame: it is done again.
    orphans = select(duplicates.c.file_id).where(duplicates.c.original_id.in_(rewritten))
    conn.execute(
        update(files)
        .where(files.c.id.in_(orphans))
        .where(files.c.state.in_([LABELLED, SKIPPED]))
        .values(state=PENDING, tries=0)
    )
    for table in (labels, embeddings, frames):
        conn.execute(delete(table).where(table.c.file_id.in_(rewritten)))


def _frame_rows(job: _Commit, works: Sequence[_Work]) -> list[tuple[_Work, _Row, LabelRecord]]:
    infos = [record.info for work in works for record in work.outcome.records]
    camera_ids = job.codes.make(job.conn, cameras, {info.camera for info in infos})
    channel_ids = job.codes.make(job.conn, channels, {info.channel for info in infos})
    query = select(cameras.c.name, cameras.c.longitude).where(cameras.c.name.in_(camera_ids))
    longitudes: Mapping[str, float | None] = {row[0]: row[1] for row in job.conn.execute(query)}
    return [
        (work, row, record) for work in works for row, record in _frames_of(work, camera_ids, channel_ids, longitudes)
    ]


def _frames_of(
    work: _Work,
    camera_ids: Mapping[str, int],
    channel_ids: Mapping[str, int],
    longitudes: Mapping[str, float | None],
) -> Iterable[tuple[_Row, LabelRecord]]:
    seen: Counter[tuple[str, float, str]] = Counter()
    for record in work.outcome.records:
        info = record.info
        time = epoch(info.time)
        key = (info.camera, time, info.channel)
        seen[key] += 1
        yield (
            {
                "file_id": work.row.id,
                "frame_index": info.index,
                "camera_id": camera_ids[info.camera],
                "channel_id": channel_ids[info.channel],
                "time_utc": time,
                "time_source": TIME_SOURCES[info.time_source],
                "twin": None if info.time_source == "mtime" else seen[key] - 1,
                "night": day_number(observing_night(info.time, longitudes[info.camera])),
                "sun": scaled(record.sun_altitude, 100),
                "moon": scaled(record.moon_altitude, 100),
                "moon_phase": scaled(record.moon_phase, 10_000),
            },
            record,
        )


def insert_new(conn: Connection, table: Table, rows: Sequence[_Row]) -> int:
    """Insert those rows whose keys are not there yet, and say how many."""
    if not rows:
        return 0
    make = sqlite.insert if conn.dialect.name == "sqlite" else postgresql.insert
    statement = make(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    return conn.execute(statement, rows).rowcount


def _insert_frames(
    job: _Commit, works: Sequence[_Work], frame_rows: Sequence[tuple[_Work, _Row, LabelRecord]]
) -> set[_Key] | None:
    """Insert frames and nights; give the keys that are this file's, or None where all of them are."""
    insert_new(
        job.conn,
        nights,
        [
            {"camera_id": camera, "night": night}
            for camera, night in sorted({(row["camera_id"], row["night"]) for _, row, _ in frame_rows})
        ],
    )
    if insert_new(job.conn, frames, [row for _, row, _ in frame_rows]) == len(frame_rows):
        return None
    query = select(frames.c.file_id, frames.c.frame_index).where(frames.c.file_id.in_([work.row.id for work in works]))
    return {(file_id, index) for file_id, index in job.conn.execute(query)}


def _labelled_already(job: _Commit, file_ids: Sequence[int]) -> set[_Key]:
    if not file_ids:
        return set()
    query = (
        select(labels.c.file_id, labels.c.frame_index)
        .where(labels.c.file_id.in_(file_ids))
        .where(labels.c.model_id == job.model)
    )
    return {(file_id, index) for file_id, index in job.conn.execute(query)}


def _insert_labels(job: _Commit, fresh: Sequence[tuple[_Work, _Row, LabelRecord]]) -> None:
    codes = label_codes(job.codes, job.conn, {record.classification.label for _, _, record in fresh})
    embedder = job.conn.scalar(select(models.c.embedder_id).where(models.c.id == job.model))
    vectors: list[_Row] = []
    rows: list[_Row] = []
    for _, row, record in fresh:
        key = {"file_id": row["file_id"], "frame_index": row["frame_index"]}
        rows.append(key | label_values(record.classification, codes, model=job.model, run=job.run, source=job.source))
        if record.embedding is not None:
            vectors.append(key | {"embedder_id": embedder, "vector": pack(record.embedding)})
    insert_new(job.conn, embeddings, vectors)
    insert_new(job.conn, labels, rows)


def label_values(
    classification: Classification, codes: Mapping[str, int], *, model: int, run: int, source: Source
) -> dict[str, Any]:
    """Give the columns of a label, without its frame."""
    return {
        "model_id": model,
        "run_id": run,
        "label_id": codes[classification.label],
        "confidence": scaled(classification.confidence, 1_000_000),
        "scores": pack(classification.scores),
        "distance": scaled(classification.distance, 1000),
        "reason": classification.reason or None,
        "source": SOURCES[source],
    }


def _end_labelled(job: _Commit, works: Sequence[_Work], news: Mapping[int, int], lost: Sequence[_Row]) -> None:
    originals = _originals(job.conn, lost)
    pairs = {(row["file_id"], originals[_identity(row)][0]) for row in lost}
    insert_new(job.conn, duplicates, [{"file_id": copy, "original_id": original} for copy, original in sorted(pairs)])
    gone = Counter(row["file_id"] for row in lost)
    copied_from = {row["file_id"]: originals[_identity(row)][1] for row in reversed(lost)}
    for work in works:
        row, total, lacking = work.row, len(work.outcome.records), gone[work.row.id]
        ended: _Row = {"crashes": 0, "rewritten": 0, "done_at": int(job.now)}
        if lacking and lacking == total:
            job.end(work, Outcome.SKIPPED, f"duplicate of {copied_from[row.id]}", state=SKIPPED, **ended)
            continue
        notes = [work.outcome.reason] if work.outcome.reason else []
        if lacking:
            notes.append(f"{lacking} of {total} frames are duplicates of {copied_from[row.id]}")
        done = row.done_at is not None and row.state != QUARANTINED and not row.rewritten
        word = Outcome.KNOWN if done and not news.get(row.id) else Outcome.LABELLED
        job.end(work, word, "; ".join(notes), state=LABELLED, **ended)


def _identity(row: _Row) -> tuple[int, float, int, int]:
    return row["camera_id"], row["time_utc"], row["channel_id"], row["twin"]


def _originals(conn: Connection, lost: Sequence[_Row]) -> dict[tuple[int, float, int, int], tuple[int, str]]:
    """Give the file that has each of these frames, as number and path."""
    columns = (frames.c.camera_id, frames.c.time_utc, frames.c.channel_id, frames.c.twin)
    keys = sorted({_identity(row) for row in lost})
    found: dict[tuple[int, float, int, int], tuple[int, str]] = {}
    for start in range(0, len(keys), 250):
        query = (
            select(*columns, files.c.id, folders.c.path, files.c.name)
            .join(files, files.c.id == frames.c.file_id)
            .join(folders, folders.c.id == files.c.folder_id)
            .where(tuple_(*columns).in_(keys[start : start + 250]))
        )
        for camera, time, channel, twin, number, folder, name in conn.execute(query):
            found[camera, time, channel, twin] = (number, folder + name)
    return found
