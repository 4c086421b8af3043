"""Writes what became of files: frames, embeddings, labels and the ends of the files, in one transaction.

Committing the same outcomes again changes nothing. A frame is (camera, time, channel): the first file that brings it
keeps it, and a file all of whose frames are known from elsewhere is `skipped`. Frames of one file that carry the same
time (a burst whose clock counts whole seconds) are twins, not duplicates: all are kept, and a copy of that file finds
each of its twins again. Frames whose time is only the file's mtime are nobody's duplicates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, update

from auroramon.store import frames
from auroramon.store.accounts import count_moves
from auroramon.store.codes import Codes
from auroramon.store.ledger import MAX_CRASHES, FileRow, find, offer
from auroramon.store.results import Committed, FileResult, Source
from auroramon.store.schema import LABELLED, PENDING, QUARANTINED, SKIPPED, files
from auroramon.types import GONE, FileOutcome, LabelRecord, Outcome

NEVER = -1
"""mtime of a file that vanished: no file has it."""

LONGEST_PAUSE_S = 3600.0
"""A file that is not ready is tried again after this long at the latest, and whenever a daemon starts or reloads."""

_END = update(files).where(files.c.id == bindparam("row"))


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
    author: frames.Author
    now: float
    results: dict[int, FileResult] = field(default_factory=dict)  # by place
    records: list[LabelRecord] = field(default_factory=list)
    ends: list[dict[str, Any]] = field(default_factory=list)
    moves: Counter[int] = field(default_factory=Counter)  # by how much each state grows
    reopened: frozenset[int] = frozenset()  # files that became pending since their rows were read

    def end(self, work: _Work, word: Outcome, reason: str = "", **changes: Any) -> None:
        """Write how a file ended; what is not named becomes what an orderly end leaves."""
        row = work.row
        self.results[work.place] = FileResult(work.outcome.file, word, reason)
        end = {
            "row": row.id,
            "state": row.state,
            "reason": reason or None,
            "tries": 0,
            "crashes": row.crashes,
            "rewritten": row.rewritten,
            "not_before": None,
            "claimed_by": None,
            "done_at": row.done_at,
        } | changes
        self.ends.append(end)
        self.moves[PENDING if row.id in self.reopened else row.state] -= 1
        self.moves[end["state"]] += 1


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
    job = _Commit(conn, codes, frames.Author(model, run, source), now)
    to_label: list[_Work] = []
    for work in _with_rows(job, outcomes):
        if not work.row.is_same(work.outcome.file):
            _end_changed(job, work)
        elif work.outcome.outcome is Outcome.LABELLED:
            to_label.append(work)
        else:
            _end_without_labels(job, work, retry_after_s)
    if to_label:
        _end_labelled(job, to_label)
    if job.ends:
        conn.execute(_END, job.ends)
        count_moves(conn, job.moves)
    results = tuple(job.results[place] for place in sorted(job.results))
    return Committed(results, tuple(job.records), job.reopened)


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
    if work.row.claimed_by == job.author.run:
        job.end(work, Outcome.NOT_READY, reason)
    else:
        job.results[work.place] = FileResult(work.outcome.file, Outcome.NOT_READY, reason)


def _end_without_labels(job: _Commit, work: _Work, retry_after_s: float) -> None:
    row, outcome = work.row, work.outcome
    relabelled = row.state == LABELLED  # it was claimed for another model; its labels stand
    if row.claimed_by != job.author.run and (row.claimed_by is not None or row.state != PENDING):
        job.results[work.place] = FileResult(outcome.file, Outcome.KNOWN, "")  # somebody else has it, or had it
    elif outcome.outcome is Outcome.CRASHED:
        _end_crashed(job, work)
    elif outcome.outcome is Outcome.QUARANTINED:
        job.end(work, Outcome.QUARANTINED, outcome.reason, state=QUARANTINED, done_at=int(job.now))
    elif outcome.outcome is Outcome.SKIPPED:
        state = LABELLED if relabelled else SKIPPED
        job.end(work, Outcome.SKIPPED, outcome.reason, state=state, crashes=0, done_at=int(job.now))
        if outcome.reason == GONE and not relabelled:
            # A mount that was away takes its files along: seen again, the file counts as changed and is done.
            job.conn.execute(update(files).where(files.c.id == row.id).values(mtime_ns=NEVER))
    else:
        later = None if relabelled else job.now + _pause(row, job.now, retry_after_s)
        job.end(work, outcome.outcome, outcome.reason, not_before=later)


def _pause(row: FileRow, now: float, least_s: float) -> float:
    """Give how long a file that is not ready is left alone: a tenth of its age, so that a thousand files which may not
    be read for a night do not keep the disk busy until somebody comes.
    """
    age = now - max(row.seen_at, row.mtime_ns / 1e9)
    return max(least_s, min(age / 10, LONGEST_PAUSE_S))


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


def _end_labelled(job: _Commit, works: Sequence[_Work]) -> None:
    """Write the frames of these files, then how each ended."""
    written = frames.write(job.conn, job.codes, job.author, [(work.row, work.outcome.records) for work in works])
    job.records += written.records
    job.reopened = written.reopened
    for work in works:
        row, total, copies = work.row, len(work.outcome.records), written.copies.get(work.row.id)
        ended: dict[str, Any] = {"crashes": 0, "rewritten": 0, "done_at": int(job.now)}
        if copies and copies.number == total:
            cut = f"; {work.outcome.reason}" if work.outcome.reason else ""
            job.end(work, Outcome.SKIPPED, f"duplicate of {copies.of}{cut}", state=SKIPPED, **ended)
            continue
        reason = work.outcome.reason
        if copies:
            note = f"{copies.number} of {total} frames are duplicates of {copies.of}"
            reason = f"{reason}; {note}" if reason else note
        done = row.done_at is not None and row.state != QUARANTINED and not row.rewritten
        word = Outcome.KNOWN if done and not written.new_by_file.get(row.id) else Outcome.LABELLED
        job.end(work, word, reason, state=LABELLED, **ended)
