"""The daemon's pages when whoever asked for them does not wait."""

from __future__ import annotations

import socket
import struct
import threading

import pytest

from auroramon.server import StatusServer
from auroramon.types import Health
from tests.daemon import wait_until


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
