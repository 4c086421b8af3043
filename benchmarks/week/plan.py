"""What goes wrong in the simulated week, when, and which alerts that must, or may, raise."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

CAMERAS = tuple(f"cam{number}" for number in range(10))
EVENING, LATE = CAMERAS[:5], CAMERAS[5:]  # who sees the evening's display, and the late one's


@dataclass(frozen=True, slots=True)
class Expected:
    """One alert that belongs to a fault."""

    alert: str
    cameras: tuple[str, ...] = ("",)  # one firing for each; "" for an alert that is not of a camera
    clears: timedelta = timedelta(minutes=30)  # after the fault it may last so long
    must: bool = True  # False: it may fire, or not


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens to the station between two simulated moments."""

    what: str
    kind: str  # what injection.py is to do
    begin: datetime
    end: datetime
    cameras: tuple[str, ...] = ()
    expected: tuple[Expected, ...] = field(default=())


def _minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def _may(alert: str, *cameras: str, clears: float = 60) -> Expected:
    return Expected(alert, cameras or ("",), _minutes(clears), must=False)


def _must(alert: str, *cameras: str, clears: float = 30) -> Expected:
    return Expected(alert, cameras or ("",), _minutes(clears))


def _restarting(clears: float = 60) -> tuple[Expected, ...]:
    """Give what any restart may bring: a start of two seconds is a quarter of an hour of simulated time."""
    return (
        _may("AuroramonUnhealthy", clears=clears),
        _may("AuroramonSlowLabels", *CAMERAS, clears=clears),
        _may("AuroramonNoNewFrames", *CAMERAS, clears=clears),
    )


def week(start: datetime) -> list[Fault]:
    """Give the faults of seven days that begin at a UTC midnight of the polar winter."""

    def at(day: int, clock: str) -> datetime:
        hour, minute = map(int, clock.split(":"))
        return start + timedelta(days=day, hours=hour, minutes=minute)

    def fault(what: str, kind: str, day: int, span: str, cameras: tuple[str, ...], *expected: Expected) -> Fault:
        begin, _, end = span.partition("-")
        return Fault(what, kind, at(day, begin), at(day, end or begin), cameras, expected)

    one, two, four, five = CAMERAS[1:2], CAMERAS[2:3], CAMERAS[4:5], CAMERAS[5:6]
    six, seven, eight, nine = CAMERAS[6:7], CAMERAS[7:8], CAMERAS[8:9], CAMERAS[9:]
    faults = [
        fault(
            "every second file is half written, and stays so", "half", 0, "02:00-02:40", two,
            _must("AuroramonFilesFailing", *two, clears=45), _must("AuroramonQuarantineGrowing", clears=370),
        ),
        fault("five empty files", "empty", 0, "04:00-04:05", one, _may("AuroramonFilesFailing", *one, clears=45)),
        fault("ten of the half-written files are written again, whole", "mend", 0, "09:00", two),
        fault("sixty files are renamed after they were labelled", "rename", 1, "10:00", five),
        fault(
            "the folder is taken away with its disk, and returned with what the camera wrote meanwhile",
            "away", 1, "22:00-22:30", four,
            _must("AuroramonWatcherDown", *four), _must("AuroramonUnhealthy"), _must("AuroramonNoNewFrames", *four),
            _may("AuroramonFramesMissing", *four, clears=90),
        ),
        fault(
            "another program holds the database's lock", "lock", 2, "01:00-01:15", (),
            _must("AuroramonDatabaseFailing"), _may("AuroramonUnhealthy"), _may("AuroramonSlowLabels", *CAMERAS),
            _may("AuroramonNoNewFrames", *CAMERAS),
        ),
        fault("the folder of a whole day is renamed", "rename_day", 2, "10:00", seven),
        fault(
            "the disk of the database is full", "disk", 2, "10:30-11:40", (),
            _must("AuroramonDatabaseFailing"), _must("AuroramonDiskLow"), _must("AuroramonUnhealthy"),
            _may("AuroramonDiskFilling"),
            # 700 frames wait, and at this speed the next ones come almost as fast as they are labelled.
            _may("AuroramonSlowLabels", *CAMERAS, clears=150),
        ),
        fault(
            "the camera's clock jumps 3607 s ahead, and back", "camera_clock", 3, "03:00-03:20", six,
            _must("AuroramonClockAhead", *six, clears=70),
        ),
        fault(
            "the broker is down while aurora begins and ends", "broker", 3, "19:50-21:20", (),
            _must("AuroramonNewsLost", clears=90),
        ),
        fault("the station's clock steps 40 minutes back, and forward again", "clock_back", 4, "02:00-03:00", ()),
        fault(
            "the station's clock steps an hour ahead, and back", "clock_ahead", 4, "04:00-04:30", (),
            _must("AuroramonNoNewFrames", *CAMERAS),
        ),
        fault("a wrong configuration and SIGHUP", "hup_wrong", 4, "10:00", ()),
        fault("another model in the configuration and SIGHUP", "hup", 4, "10:30", (), *_restarting()),
        *(
            fault("kill -9", "kill", 5, f"{clock}-{until}", (), _must("AuroramonTargetDown"), *_restarting())
            for clock, until in (("03:00", "03:15"), ("03:20", "03:35"), ("03:40", "03:55"))
        ),
        fault("three starts in an hour", "none", 5, "03:40-03:55", (), _must("AuroramonRestarting", clears=70)),
        fault("SIGTERM", "term", 5, "12:00-12:15", (), _must("AuroramonTargetDown"), *_restarting()),
        fault(
            "the camera stops", "stop", 6, "02:00-03:40", nine,
            _must("AuroramonNoNewFrames", *nine), _must("AuroramonFramesMissing", *nine, clears=90),
        ),
        fault(
            "ice on the dome: frames without structure", "ice", 6, "16:00-20:00", eight,
            _must("AuroramonMostlyUnknown", *eight, clears=130),
        ),
    ]  # fmt: skip
    return sorted(faults + displays(start, 7), key=lambda fault: fault.begin)


def displays(start: datetime, days: int) -> list[Fault]:
    """Give the aurora of each night: no fault, but an alert must come of it."""
    found = []
    for day in range(days):
        for hour, lasts, cameras in ((18, 40, EVENING), (20, 40, LATE)):
            begin = start + timedelta(days=day, hours=hour)
            aurora = _must("AuroraOverhead", *cameras, clears=30)
            found.append(Fault("aurora", "aurora", begin, begin + _minutes(lasts), cameras, (aurora,)))
    return found


def short(start: datetime) -> list[Fault]:
    """Give an hour and a half for the test suite: three alerts, and faults that must raise none."""

    def at(minute: float) -> datetime:
        return start + timedelta(minutes=minute)

    four, five, six = CAMERAS[4:5], CAMERAS[5:6], CAMERAS[6:7]
    return [
        Fault("five half-written files", "half", at(5), at(15), six, (_may("AuroramonFilesFailing", *six),)),
        Fault("aurora", "aurora", at(10), at(35), EVENING, (_must("AuroraOverhead", *EVENING, clears=60),)),
        Fault("they are written again, whole", "mend", at(20), at(20), six),
        Fault("files are renamed after they were labelled", "rename", at(25), at(25), five),
        Fault(
            "the folder is taken away with its disk, and returned", "away", at(30), at(50), four,
            (
                _must("AuroramonWatcherDown", *four), _may("AuroramonUnhealthy"),
                _may("AuroramonNoNewFrames", *four), _may("AuroramonFramesMissing", *four),
            ),
        ),
        Fault(
            "kill -9", "kill", at(60), at(75), (),
            (_must("AuroramonTargetDown", clears=60), *_restarting(), _may("AuroramonFramesMissing", *CAMERAS)),
        ),
    ]  # fmt: skip
