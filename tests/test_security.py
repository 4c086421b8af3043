"""What auroramon never does, whatever it is given: run what it reads, write where a file says, listen to all."""

from __future__ import annotations

import ast
import io
import ipaddress
import tarfile
from pathlib import Path

import numpy as np
import pytest

from auroramon.config import Settings
from auroramon.errors import FrameError
from auroramon.readers import read_frames
from auroramon.server import StatusServer
from auroramon.types import Health
from tests.conftest import ROOT
from tests.readers import samples

PACKAGE = ROOT / "auroramon"
MODULES = sorted(PACKAGE.rglob("*.py"))
RUNNERS = {"eval", "exec", "compile", "__import__"}
UNPICKLERS = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml"}
SHELLS = {("os", "system"), ("os", "popen"), ("subprocess", "getoutput"), ("subprocess", "getstatusoutput")}


def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_that_is_read_is_ever_run(path: Path) -> None:
    """No pickle, no eval, no shell, no extraction of archives; arrays are loaded without objects."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & UNPICKLERS
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in UNPICKLERS
    for call in calls(path):
        function = call.func
        keywords = {word.arg: word.value for word in call.keywords}
        assert "shell" not in keywords, ast.unparse(call)
        if isinstance(function, ast.Name):
            assert function.id not in RUNNERS, ast.unparse(call)
        elif isinstance(function, ast.Attribute):
            owner = ast.unparse(function.value)
            assert (owner, function.attr) not in SHELLS, ast.unparse(call)
            assert function.attr not in {"extractall", "extract", "unpack_archive"}, ast.unparse(call)
            if (owner, function.attr) == ("np", "load"):
                assert ast.unparse(keywords["allow_pickle"]) == "False", ast.unparse(call)


def test_by_default_the_pages_are_for_this_machine_only() -> None:
    listen = Settings().server.listen
    assert ipaddress.ip_address(listen.rpartition(":")[0]).is_loopback
    server = StatusServer("127.0.0.1:0", lambda: b"", lambda: Health(()))
    try:
        assert server.address.startswith("127.0.0.1:")
    finally:
        server.close()


def test_no_address_of_every_machine_is_a_default() -> None:
    """0.0.0.0 stands only where a configured one is translated for a question to oneself."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                said = [ast.unparse(argument) for argument in (*node.args, *(word.value for word in node.keywords))]
                assert not {"'0.0.0.0'", "'::'", "'[::]'"} & set(said), f"{path}: {ast.unparse(node)}"


def tar_with(members: list[tarfile.TarInfo], content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return out.getvalue()


def test_a_member_of_a_tar_that_wants_to_be_elsewhere_is_read_and_never_written(tmp_path: Path) -> None:
    picture = samples.png(np.zeros((20, 20), np.uint8))
    names = ["../../outside.png", f"{tmp_path}/absolute.png", "a/../../b.png"]
    inside = tmp_path / "in"
    inside.mkdir()
    path = inside / "minute.png.tar"
    path.write_bytes(tar_with([tarfile.TarInfo(name) for name in names], picture))
    assert len(list(read_frames(path))) == 3
    assert [str(found.relative_to(tmp_path)) for found in tmp_path.rglob("*")] == ["in", "in/minute.png.tar"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_member_of_a_tar_that_is_no_file_is_passed_over(tmp_path: Path, kind: bytes) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(samples.png(np.zeros((20, 20), np.uint8)))
    member = tarfile.TarInfo("link.png")
    member.type, member.linkname = kind, str(secret)
    path = tmp_path / "minute.png.tar"
    path.write_bytes(tar_with([member], b""))
    with pytest.raises(FrameError, match="holds no picture"):
        list(read_frames(path))


def test_a_link_to_what_is_no_picture_tells_no_more_than_its_first_bytes(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("password = 'long and winding'")
    (tmp_path / "a.png").symlink_to(secret)
    with pytest.raises(FrameError) as caught:
        list(read_frames(tmp_path / "a.png"))
    assert "winding" not in str(caught.value)


def test_units_let_the_daemon_write_only_to_its_own_folders() -> None:
    for unit in (ROOT / "systemd").glob("*.service"):
        text = unit.read_text()
        assert "ProtectSystem=strict" in text
        assert "NoNewPrivileges=yes" in text
        assert "IPAddressDeny=any" in text
