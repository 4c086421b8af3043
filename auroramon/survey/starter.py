"""Writes the first configuration of a station, from what a look into its folder found."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping

from auroramon.cameras import Cameras
from auroramon.reference import Setting, SettingsTable, tables
from auroramon.survey.survey import CameraGuess, Survey, Unread
from auroramon.toml_text import toml_value

WIDTH = 100
ASKED = frozenset({"latitude", "longitude", "cadence_s"})
"""What a person should fill in, and no file tells."""


def starter(found: Survey) -> str:
    """Give a commented auroramon.toml; what is not known stands in it as a comment."""
    camera_table, *others = tables()
    lines = [*_comment(f"Written by `auroramon init {found.folder}`; `auroramon config check` looks it over."),
             "# What begins with # is a comment, or a setting at its default."]  # fmt: skip
    for unread in found.unread:
        lines += _comment(_nothing_came(unread))
    lines.append("")
    if not found.cameras:
        name = Cameras().named(found.folder.name).name
        facts = ["No readable file was in the folder yet."]
        lines += _camera({"name": name, "folder": found.folder}, facts, camera_table, brief=False)
    for number, camera in enumerate(found.cameras):
        lines += _camera(_known(camera), _facts(camera), camera_table, brief=number > 0)
    for table in others:
        lines += [table.heading]
        for setting in table.settings:
            lines += [*_comment(setting.description), f"# {setting.key} = {_example(setting)}", ""]
    return "\n".join(lines).rstrip() + "\n"


def findings(found: Survey) -> Iterator[str]:
    """Say what was found, line by line, for a person."""
    more = "" if found.complete else " and more"
    yield f"{found.folder}: {_number(found.listed)}{more} that can be read"
    for camera in found.cameras:
        yield f"camera {camera.name}: {_number(camera.files)} in {camera.folder}" + (
            f", named {' or '.join(camera.patterns)}" if camera.patterns else ""
        )
        for line in _facts(camera):
            yield f"  {line}"
    yield from map(_nothing_came, found.unread)
    if found.problems:
        yield f"{_number(len(found.problems))} gave nothing when looked at:"
        yield from (f"  {problem}" for problem in found.problems[:5])
        if len(found.problems) > 5:
            yield f"  and {len(found.problems) - 5} more"


def _nothing_came(unread: Unread) -> str:
    of = f"{_number(unread.files)} {unread.ending}: none that was looked at gave a frame"
    if unread.extra:
        return f"{of}, because a library is missing: pip install 'auroramon[{unread.extra}]', then call this again"
    return f"{of}: {unread.problem}"


def _number(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"


def _known(camera: CameraGuess) -> dict[str, object]:
    """Give the settings of a camera that its files tell."""
    known: dict[str, object] = {"name": camera.name, "folder": camera.folder}
    if camera.patterns:
        known["patterns"] = camera.patterns
    known |= {key: value for key, value in (("site", camera.site), ("imager", camera.imager)) if value}
    if camera.cadence_s is not None:
        known["cadence_s"] = camera.cadence_s
    if camera.disc.disc is not None:
        disc = camera.disc.disc
        known["disc"] = {"x": disc.x, "y": disc.y, "radius": disc.radius}
    return known


def _camera(known: Mapping[str, object], facts: Iterable[str], table: SettingsTable, *, brief: bool) -> Iterator[str]:
    """Give one [[camera]]: what is known is set, the rest is a comment, and left out where `brief`."""
    yield table.heading
    for line in facts:
        yield from _comment(line)
    yield ""
    for setting in table.settings:
        if brief and setting.key not in known and setting.key not in ASKED:
            continue
        yield from _comment(setting.description)
        if setting.key in known:
            yield f"{setting.key} = {toml_value(known[setting.key])}"
        else:
            yield f"# {setting.key} = {_example(setting)}"
        yield ""


def _facts(camera: CameraGuess) -> Iterator[str]:
    """Say what is known of a camera, one sentence a line."""
    first = camera.looks[0]
    sizes = sorted({f"{look.width}x{look.height}" for look in camera.looks})
    frames = {None: "", 1: ", one frame a file"}.get(
        camera.frames_per_file, f", {camera.frames_per_file} frames a file"
    )
    formats = " and ".join(sorted({look.format for look in camera.looks}))
    yield f"{formats}, {first.kind}, {' or '.join(sizes[:4])} pixels{frames}"
    channels = sorted({look.channel for look in camera.looks if look.channel})
    if channels:
        yield f"channels {', '.join(channels)}"
    yield f"time from the {_source(camera)}, such as {first.time:%Y-%m-%d %H:%M:%S} UTC"
    step = "is not clear from a few files" if camera.cadence_s is None else f"{camera.cadence_s:g} s"
    yield f"cadence {step}"
    yield _disc(camera)
    yield from camera.notes


def _source(camera: CameraGuess) -> str:
    words = {"header": "header", "exif": "EXIF block", "name": "file name",
             "mtime": "file's modification time alone (copying may change it)"}  # fmt: skip
    return " or ".join(dict.fromkeys(words[look.time_source] for look in camera.looks))


def _disc(camera: CameraGuess) -> str:
    found = camera.disc
    if not found.looked:
        return "disc not looked for"
    if found.disc is not None:
        disc = found.disc
        return (
            f"disc of sky in {found.agreed} of {found.looked} files: centre {disc.x:g}, {disc.y:g}, "
            f"radius {disc.radius:g} pixels (see `auroramon camera preview`)"
        )
    differ = ", not the same everywhere" if found.found - found.agreed > 1 else ""
    return f"disc of sky seen in {found.found} of {found.looked} files{differ}: it will be looked for in every file"


def _comment(text: str) -> Iterable[str]:
    printable = "".join(char if char.isprintable() else "?" for char in text)  # a name may hold what no TOML may
    return textwrap.wrap(printable, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _example(setting: Setting) -> str:
    return setting.default or _EXAMPLES.get(setting.key, '""')


_EXAMPLES = {
    "latitude": "67.84", "longitude": "20.41", "cadence_s": "60", "mask": '"mask.png"', "folder": '"/data/allsky"',
    "path": '"/etc/auroramon/model"', "cache": '"/var/cache/auroramon"',
}  # fmt: skip
