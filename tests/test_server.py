"""The daemon's pages when whoever asked for them does not wait."""

from __future__ import annotations

import socket
import struct
import threading

import pytest

from auroramon.errors import ConfigError
from auroramon.server import StatusServer
from auroramon.types import Health
from tests.daemon import get, wait_until


def handlers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "process_request" in thread.name]


def test_a_scraper_that_gave_up_leaves_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    asked, gone = threading.Event(), threading.Event()

    def page() -> bytes:
        asked.set()
        assert gone.wait(30)
        return b"x" * 1_000_000

    server = StatusServer("127.0.0.1:0", page, lambda: Health(()))
    try:
        host, _, port = server.address.rpartition(":")
        client = socket.create_connection((host, int(port)))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, as after a timeout
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert asked.wait(30)
        client.close()
        gone.set()
        wait_until(lambda: not handlers(), "the answer was given up")
    finally:
        server.close()
    assert capfd.readouterr().err == ""


def well() -> Health:
    return Health(())


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_a_port_scan_leaves_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    server = StatusServer("127.0.0.1:0", lambda: b"", well)
    try:
        host, _, port = server.address.rpartition(":")
        for said in (b"", b"GET /metrics"):
            client = socket.create_connection((host, int(port)))
            client.sendall(said)
            wait_until(lambda: bool(handlers()), "somebody is heard")
            reset(client)
            wait_until(lambda: not handlers(), "who went away is forgotten")
    finally:
        server.close()
    assert capfd.readouterr().err == ""


def test_who_asks_nothing_is_let_go(capfd: pytest.CaptureFixture[str]) -> None:
    """Each would hold a thread and an open file for ever, until the daemon can open no frame any more."""
    server = StatusServer("127.0.0.1:0", lambda: b"x" * 50_000_000, well, patience_s=0.2)
    try:
        host, _, port = server.address.rpartition(":")
        silent, full = (socket.create_connection((host, int(port))) for _ in range(2))
        full.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")  # and takes no answer
        wait_until(lambda: bool(handlers()), "they are heard")
        wait_until(lambda: not handlers(), "they are let go")
        silent.close()
        full.close()
    finally:
        server.close()
    assert capfd.readouterr().err == ""


def test_a_mistake_of_ours_is_not_hushed_up(capfd: pytest.CaptureFixture[str]) -> None:
    def page() -> bytes:
        raise KeyError("ours")

    server = StatusServer("127.0.0.1:0", page, well)
    try:
        host, _, port = server.address.rpartition(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            assert client.recv(1) == b""
    finally:
        server.close()
    assert "KeyError: 'ours'" in capfd.readouterr().err


def test_an_address_of_ipv6() -> None:
    server = StatusServer("[::1]:0", lambda: b"page", well)
    try:
        assert get(server.address, "/metrics") == (200, "page")
        assert server.address.startswith("[::1]:")
    finally:
        server.close()


@pytest.mark.parametrize("listen", ["192.0.2.7:0", "[2001:db8::7]:0"])
def test_an_address_that_comes_later_keeps_nobody_from_labelling(listen: str, caplog: pytest.LogCaptureFixture) -> None:
    StatusServer(listen, lambda: b"", well).close()
    assert f"no address {listen.removesuffix(':0')} now" in caplog.text


def test_an_address_that_is_taken_is_refused() -> None:
    server = StatusServer("127.0.0.1:0", lambda: b"", well)
    try:
        with pytest.raises(ConfigError, match="Address already in use; is another auroramon running"):
            StatusServer(server.address, lambda: b"", well)
    finally:
        server.close()
