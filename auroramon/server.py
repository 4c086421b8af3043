"""The daemon's window: /metrics for Prometheus and /healthz for whoever asks whether it is alive."""

from __future__ import annotations

import errno
import json
import logging
import socket
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from auroramon.errors import ConfigError
from auroramon.types import Health

log = logging.getLogger(__name__)

PATIENCE_S = 30.0
"""Whoever asks nothing, or takes no answer, for so long is let go: each holds a thread and an open file."""

_FREEBIND: dict[int, tuple[int, int]] = {  # of Linux
    socket.AF_INET: (socket.IPPROTO_IP, 15),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 78),
}

INDEX = b'<!doctype html><title>auroramon</title><a href="/metrics">metrics</a> <a href="/healthz">health</a>\n'


class _Listener(ThreadingHTTPServer):
    """Takes an address of IPv4 or IPv6, also one that this machine does not have yet."""

    daemon_threads = True

    def __init__(self, host: str, port: int, pages: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), pages)

    def server_bind(self) -> None:
        """Bind, without asking for names of the address, which can take long where the network is away.

        A station without its network labels all the same: its address may come later, with the cable or the lease.
        """
        try:
            TCPServer.server_bind(self)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            self.socket.setsockopt(*_FREEBIND[self.address_family], 1)
            TCPServer.server_bind(self)
            log.warning("server.listen: this machine has no address %s now; pages are there when it has", self.host)

    @property
    def host(self) -> str:
        host = str(self.server_address[0])
        return f"[{host}]" if ":" in host else host

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of whoever went away (a scrape has its timeout, a port scan no question): no fault of ours."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class StatusServer:
    """Serves two pages from a thread of its own; it reads, and never touches the line of frames.

    Args:
        listen: "host:port"; port 0 takes a free one.
        metrics: gives the text of /metrics.
        health: gives the state of the daemon.
        patience_s: how long whoever asks may be silent.

    Raises:
        ConfigError: the address cannot be used.
    """

    def __init__(
        self,
        listen: str,
        metrics: Callable[[], bytes],
        health: Callable[[], Health],
        patience_s: float = PATIENCE_S,
    ) -> None:
        host, _, port = listen.rpartition(":")

        class Pages(BaseHTTPRequestHandler):
            timeout = patience_s

            def do_GET(self) -> None:
                if self.path == "/metrics":
                    self._answer(HTTPStatus.OK, CONTENT_TYPE_PLAIN_0_0_4, metrics())
                elif self.path == "/healthz":
                    state = health()
                    status = HTTPStatus.OK if state.ok else HTTPStatus.SERVICE_UNAVAILABLE
                    body = json.dumps({"ok": state.ok, "problems": list(state.problems)}) + "\n"
                    self._answer(status, "application/json", body.encode())
                elif self.path == "/":
                    self._answer(HTTPStatus.OK, "text/html; charset=utf-8", INDEX)
                else:
                    self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"/metrics or /healthz\n")

            def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server's name
                """Say nothing: a scrape every few seconds is no news."""

        try:
            self._server = _Listener(host.strip("[]"), int(port), Pages)
        except OSError as error:
            guess = "; is another auroramon running?" if error.errno == errno.EADDRINUSE else ""
            raise ConfigError(f"server.listen = {listen!r}: cannot listen there: {error.strerror}{guess}") from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="status-server", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Give the address in use, such as "127.0.0.1:9750"."""
        return f"{self._server.host}:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
