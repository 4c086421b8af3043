"""The tables. Times are UTC epochs; small numbers are scaled integers, because every frame pays for each byte.

`docs/database.md` says the same in words. The migrations hold a frozen copy of each step that led here; a test compares
the two. Nothing but the view `labels_current` and its sisters (views.py) is meant to be read by other people's queries.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from auroramon.types import LABELS, UNKNOWN

REVISION = "0007"
"""The newest migration. A database that says otherwise is upgraded, or refused if this is unknown to it."""

PENDING, LABELLED, SKIPPED, QUARANTINED = 0, 1, 2, 3
STATES = {PENDING: "pending", LABELLED: "labelled", SKIPPED: "skipped", QUARANTINED: "quarantined"}
TIME_SOURCES = {"header": 0, "exif": 1, "name": 2, "mtime": 3}
SOURCES = {"live": 0, "backfill": 1, "relabel": 2}
LABEL_CODES = {name: code for code, name in enumerate((*LABELS, UNKNOWN), start=1)}
"""Codes of the labels that every database knows; the views count by them. Others are added behind."""

COUNTS = (*LABEL_CODES, "other")
"""What the frames of an hour are counted by; `other` counts labels that only some other model knows."""

MOONS = ("no position", "Moon down", "up, below 1/4", "up, 1/4 to 3/4", "up, above 3/4")
"""What the Moon did while a frame was taken, by code: its altitude, and how much of its disc was lit."""

metadata = MetaData()


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def _epoch(name: str) -> Column[float]:
    return Column(name, Float(53))


# Exact pages of rows found by their key: no hidden row number, no second tree.
_CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}

folders = Table(
    "folders",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("path", Text, nullable=False, unique=True),  # with its closing slash; empty for a bare name
)

channels = Table(
    "channels",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
)

label_names = Table(
    "label_names",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
)

embedders = Table(
    "embedders",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
)

cameras = Table(
    "cameras",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    _text("site"),
    Column("latitude", Float(53)),  # degrees north; NULL: not known
    Column("longitude", Float(53)),  # degrees east
    Column("cadence_s", Float(53)),  # seconds from frame to frame; NULL: nobody knows what is missing
    Column("sun_below_deg", Float(53)),  # the camera runs while the Sun is lower than this
    _epoch("watched_from"),  # a daemon has watched it since; nights without any frame count from here
)

models = Table(
    "models",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    Column("embedder_id", Integer, ForeignKey("embedders.id"), nullable=False),
    Column("labels", Text, nullable=False),  # JSON list: the order of the scores
    Column("threshold", Float(53)),  # Mahalanobis distance beyond which a frame is `unknown`
    Column("created", Float(53), nullable=False),
    _epoch("promoted_at"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("command", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    _text("code_version"),
    _text("backend"),
    _text("precision"),
    _text("settings_digest"),
    Column("started", Float(53), nullable=False),
    _epoch("ended"),
    Column("heartbeat", Float(53), nullable=False),
    Column("rules_id", Integer, ForeignKey("event_rules.id")),  # thresholds in force; NULL: older than this column
)

files = Table(
    "files",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("folder_id", Integer, ForeignKey("folders.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("camera_id", Integer, ForeignKey("cameras.id")),  # whose folder it lay in; NULL: the header says
    Column("state", SmallInteger, nullable=False),
    Column("tries", SmallInteger, nullable=False),  # claims since the last orderly end
    Column("crashes", SmallInteger, nullable=False),  # deaths of a worker that were seen
    Column("rewritten", SmallInteger, nullable=False),  # 1: its frames are those of an older content
    _epoch("not_before"),  # only while pending
    Column("claimed_by", Integer, ForeignKey("runs.id")),
    Column("reason", Text),
    Column("seen_at", BigInteger, nullable=False),  # whole seconds
    Column("done_at", BigInteger),  # whole seconds; NULL: never came to an end
    UniqueConstraint("folder_id", "name"),
)

# Open work, few rows at any time.
Index("files_pending", files.c.mtime_ns, sqlite_where=text("state = 0"), postgresql_where=text("state = 0"))
Index("files_quarantined", files.c.id, sqlite_where=text("state = 3"), postgresql_where=text("state = 3"))
Index(
    "files_claimed",
    files.c.claimed_by,
    sqlite_where=text("claimed_by IS NOT NULL"),
    postgresql_where=text("claimed_by IS NOT NULL"),
)

duplicates = Table(
    "duplicates",
    metadata,
    Column("file_id", Integer, ForeignKey("files.id"), primary_key=True, autoincrement=False),
    Column("original_id", Integer, ForeignKey("files.id"), primary_key=True, autoincrement=False, index=True),
    **_CLUSTERED,
)

frames = Table(
    "frames",
    metadata,
    Column("file_id", Integer, ForeignKey("files.id"), primary_key=True, autoincrement=False),
    Column("frame_index", Integer, primary_key=True, autoincrement=False),
    Column("camera_id", Integer, ForeignKey("cameras.id"), nullable=False),
    Column("channel_id", Integer, ForeignKey("channels.id"), nullable=False),
    Column("time_utc", Float(53), nullable=False),  # start of exposure; exact to the microsecond
    # Which of the frames of one file that carry the same time; NULL where the time is only the file's mtime, and NULLs
    # never equal each other in a unique index: such a frame is nobody's duplicate.
    Column("twin", SmallInteger),
    Column("time_source", SmallInteger, nullable=False),
    Column("night", Integer, nullable=False),  # days from 1970-01-01 to the date of the local noon before
    Column("sun", SmallInteger),  # hundredths of a degree; NULL without a position
    Column("moon", SmallInteger),
    Column("moon_phase", SmallInteger),  # ten-thousandths of the disc
    UniqueConstraint("camera_id", "time_utc", "channel_id", "twin"),
    **_CLUSTERED,
)

embeddings = Table(
    "embeddings",
    metadata,
    Column("file_id", Integer, primary_key=True, autoincrement=False),
    Column("frame_index", Integer, primary_key=True, autoincrement=False),
    Column("embedder_id", Integer, ForeignKey("embedders.id"), primary_key=True, autoincrement=False),
    Column("vector", LargeBinary, nullable=False),  # little-endian float16
    _epoch("time_utc"),  # the frame's, where tables are divided by months (months.py); else NULL
    ForeignKeyConstraint(["file_id", "frame_index"], ["frames.file_id", "frames.frame_index"]),
    **_CLUSTERED,
)

labels = Table(
    "labels",
    metadata,
    Column("file_id", Integer, primary_key=True, autoincrement=False),
    Column("frame_index", Integer, primary_key=True, autoincrement=False),
    Column("model_id", Integer, ForeignKey("models.id"), primary_key=True, autoincrement=False),
    Column("run_id", Integer, ForeignKey("runs.id"), nullable=False),
    Column("label_id", Integer, ForeignKey("label_names.id"), nullable=False),
    Column("confidence", Integer),  # millionths; NULL where a gate refused
    Column("scores", LargeBinary),  # little-endian float16, in the model's order
    Column("distance", Integer),  # thousandths
    Column("reason", Text),
    Column("source", SmallInteger, nullable=False),
    _epoch("time_utc"),  # the frame's, where tables are divided by months; else NULL
    ForeignKeyConstraint(["file_id", "frame_index"], ["frames.file_id", "frames.frame_index"]),
    **_CLUSTERED,
)

reviews = Table(
    "reviews",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("file_id", Integer, ForeignKey("files.id"), nullable=False),
    Column("frame_index", Integer, nullable=False),
    # With the frame's time, a person's word stays with its frame when the file is copied anew, and does not pass to
    # another frame that takes the same place.
    Column("time_utc", Float(53), nullable=False),
    Column("label_id", Integer, ForeignKey("label_names.id"), nullable=False),
    _text("reviewer"),
    _text("note"),
    Column("made_at", Float(53), nullable=False),
)
Index("reviews_frame", reviews.c.file_id, reviews.c.frame_index)

nights = Table(
    "nights",
    metadata,
    Column("camera_id", Integer, ForeignKey("cameras.id"), primary_key=True, autoincrement=False),
    Column("night", Integer, primary_key=True, autoincrement=False),
    _epoch("filled_until"),  # `expected` is known up to here; NULL: not at all
    **_CLUSTERED,
)

expected = Table(
    "expected",
    metadata,
    Column("camera_id", Integer, primary_key=True, autoincrement=False),
    Column("night", Integer, primary_key=True, autoincrement=False),
    Column("hour", Integer, primary_key=True, autoincrement=False),  # hours since 1970-01-01T00Z
    Column("frames", Float(53), nullable=False),  # dark seconds / cadence
    Column("sun_below", SmallInteger, nullable=False),  # hundredths of a degree, as it was when counted
    ForeignKeyConstraint(["camera_id", "night"], ["nights.camera_id", "nights.night"]),
    **_CLUSTERED,
)

hours = Table(
    "hours",
    metadata,
    Column("camera_id", Integer, primary_key=True, autoincrement=False),
    Column("night", Integer, primary_key=True, autoincrement=False),
    Column("hour", Integer, primary_key=True, autoincrement=False),  # hours since 1970-01-01T00Z
    Column("due", SmallInteger, nullable=False),  # 1: labels changed since it was counted
    *(Column(name, Integer, nullable=False, server_default="0") for name in COUNTS),
    Column("total", Integer, nullable=False, server_default="0"),
    Column("dark", Integer, nullable=False, server_default="0"),  # frames with the Sun below `sun_below`
    Column("sun_below", SmallInteger),  # hundredths of a degree; that of `expected` when it was counted, NULL: none
    ForeignKeyConstraint(["camera_id", "night"], ["nights.camera_id", "nights.night"]),
    **_CLUSTERED,
)
Index(
    "hours_due",
    hours.c.camera_id,
    hours.c.night,
    hours.c.hour,
    sqlite_where=text("due = 1"),
    postgresql_where=text("due = 1"),
)

hour_kinds = Table(
    "hour_kinds",  # the frames of an hour that is not due, by more than its label; of one that is, nothing can be said
    metadata,
    Column("camera_id", Integer, primary_key=True, autoincrement=False),
    Column("night", Integer, primary_key=True, autoincrement=False),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("moon", SmallInteger, primary_key=True, autoincrement=False),  # of MOONS
    Column("label_id", Integer, ForeignKey("label_names.id"), primary_key=True, autoincrement=False),
    Column("why", Text, primary_key=True),  # of a frame that is `unknown`: the kind of reason; else empty
    Column("frames", Integer, nullable=False),
    ForeignKeyConstraint(["camera_id", "night", "hour"], ["hours.camera_id", "hours.night", "hours.hour"]),
    **_CLUSTERED,
)

account = Table(
    "account",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # 1: one row, changed with the files it counts
    *(Column(name, BigInteger, nullable=False) for name in ("seen", *STATES.values())),
)

event_rules = Table(
    "event_rules",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rules", Text, nullable=False, unique=True),  # JSON: thresholds by label, frames, gap_s
)

event_nights = Table(
    "event_nights",
    metadata,
    Column("camera_id", Integer, primary_key=True, autoincrement=False),
    Column("night", Integer, primary_key=True, autoincrement=False),
    Column("changes", Integer, nullable=False),  # counted up with each change of a label of the night
    Column("derived", Integer),  # the count that its events are of; NULL: none yet
    Column("rules_id", Integer, ForeignKey("event_rules.id")),  # the rules that its events are of
    ForeignKeyConstraint(["camera_id", "night"], ["nights.camera_id", "nights.night"]),
    **_CLUSTERED,
)

events = Table(
    "events",
    metadata,
    Column("camera_id", Integer, primary_key=True, autoincrement=False),
    Column("night", Integer, primary_key=True, autoincrement=False),
    Column("begun", Float(53), primary_key=True, autoincrement=False),  # start of its first frame of aurora
    Column("ended", Float(53), nullable=False),  # start of its last frame of aurora
    Column("is_over", SmallInteger, nullable=False),  # 1: frames without aurora, or a gap, came after it
    Column("label_id", Integer, ForeignKey("label_names.id"), nullable=False),
    Column("confidence", Integer, nullable=False),  # millionths
    Column("frames", Integer, nullable=False),
    Column("rules_id", Integer, ForeignKey("event_rules.id"), nullable=False),
    ForeignKeyConstraint(["camera_id", "night"], ["nights.camera_id", "nights.night"]),
    **_CLUSTERED,
)

listed_folders = Table(
    "listed_folders",
    metadata,
    Column("listing", Text, primary_key=True),  # digest of the call whose listing was not at its end yet
    Column("path", Text, primary_key=True),  # without a closing slash
    Column("mtime_ns", BigInteger, nullable=False),  # of the folder, before it was listed
    Column("listed_ns", BigInteger, nullable=False),  # when that was, by the clock of this machine
    Column("below", Text, nullable=False),  # JSON list: names of the folders in it that belong to the listing
    **_CLUSTERED,
)
