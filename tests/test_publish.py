"""News of events goes out by MQTT and webhook, to real servers on loopback, and a dead one holds nobody up."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from auroramon.events import EventRules
from auroramon.publish import WAITING, Courier, Mqtt, News, PublishError, Webhook, place
from auroramon.store.results import AuroraEvent
from tests.conftest import missing
from tests.daemon import wait_until

BEGUN = datetime(2026, 1, 31, 22, 0, tzinfo=UTC)
RULES = EventRules({"arc": 0.6}, 3, 600.0)
EVENT = AuroraEvent("kiruna", date(2026, 1, 31), BEGUN, BEGUN + timedelta(minutes=2), False, "arc", 0.91, 3, RULES)
ON = News("on", EVENT)


class Hook(HTTPServer):
    """A real HTTP server that keeps what it gets."""

    def __init__(self, answer: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.got: list[bytes] = []
        self.allowed = ""  # the header with which whoever asks says who it is
        self.address = f"http://127.0.0.1:{self.server_port}/aurora?token=secret"


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        self.server.got.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.answer if self.headers.get("Authorization", "") == self.server.allowed else 401)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def hook(answer: int = 204) -> Iterator[Hook]:
    with Hook(answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def silent() -> Iterator[int]:
    """A port that accepts and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        yield listening.getsockname()[1]


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    """A real mosquitto on loopback that asks for a password."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        missing("mosquitto is not installed (apt install mosquitto)")
    if importlib.util.find_spec("paho") is None:
        missing("paho-mqtt is not installed (pip install 'auroramon[mqtt]')")
    port = unused_port()
    tmp_path.chmod(0o755)
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "station", "secret"], check=True, capture_output=True)
    passwords.chmod(0o644)
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nuser root\n")
    process = subprocess.Popen([str(program), "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: process.poll() is not None or _answers(port), "mosquitto listens")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_a_webhook_gets_one_json_object() -> None:
    with hook() as server:
        Webhook(server.address, 5.0).send(ON)
    assert json.loads(server.got[0]) == {
        "state": "on", "camera": "kiruna", "night": "2026-01-31", "begun": "2026-01-31T22:00:00.000Z",
        "last": "2026-01-31T22:02:00.000Z", "label": "arc", "confidence": 0.91, "frames": 3, "threshold": 0.6,
    }  # fmt: skip


@pytest.mark.parametrize("answer", [302, 404, 500])
def test_a_webhook_that_refuses_or_sends_elsewhere_is_said_without_its_secret(answer: int) -> None:
    with hook(answer) as server, pytest.raises(PublishError, match=f"127.0.0.1:.* answers {answer}") as caught:
        Webhook(server.address, 5.0).send(ON)
    assert "secret" not in str(caught.value)
    assert len(server.got) == 1


def test_a_webhook_with_a_password_gets_it_as_http_asks_for_it_and_no_message_tells_it() -> None:
    with hook() as server:
        server.allowed = "Basic c3RhdGlvbjphL2I6Yw=="  # station:a/b:c
        address = server.address.replace("://", "://station:a%2Fb%3Ac@")
        Webhook(address, 5.0).send(ON)
        with pytest.raises(PublishError, match="answers 401"):
            Webhook(address.replace("c@", "d@"), 5.0).send(ON)
    for address in (f"https://station:a%2Fb@127.0.0.1:{unused_port()}/", "https://station:secret@host.invalid/"):
        with pytest.raises(PublishError, match="cannot be reached") as caught:
            Webhook(address, 5.0).send(ON)
        assert not {"a%2Fb", "a/b", "secret"} & set(str(caught.value).replace("@", " ").replace("'", " ").split())


def test_a_webhook_that_never_answers_costs_its_timeout() -> None:
    with silent() as port, pytest.raises(PublishError, match="cannot be reached: timed out"):
        Webhook(f"http://127.0.0.1:{port}/", 0.2).send(ON)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    import ssl

    if shutil.which("openssl") is None:
        missing("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with Hook(204) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        address = f"https://localhost:{server.server_port}/"
        try:
            with pytest.raises(PublishError, match="CERTIFICATE_VERIFY_FAILED"):
                Webhook(address, 5.0).send(ON)
            Webhook(address, 5.0, ssl.create_default_context(cafile=str(certificate))).send(ON)
        finally:
            server.shutdown()
            thread.join()
    assert len(server.got) == 1


def test_a_broker_keeps_the_present_state_of_each_camera(broker: int, tmp_path: Path) -> None:
    Mqtt(f"mqtt://station:secret@127.0.0.1:{broker}/sky/aurora", 5.0).send(ON)
    from paho.mqtt import subscribe

    got = subscribe.simple(
        "sky/aurora/#", hostname="127.0.0.1", port=broker, auth={"username": "station", "password": "secret"}
    )
    assert (got.topic, got.retain, json.loads(got.payload)["state"]) == ("sky/aurora/kiruna", True, "on")


def test_a_broker_that_refuses_the_password_is_said_without_it(broker: int) -> None:
    with pytest.raises(PublishError, match=r"refuses: Not authorized") as caught:
        Mqtt(f"mqtt://station:wrong-secret@127.0.0.1:{broker}", 5.0).send(ON)
    assert "secret" not in str(caught.value)


def test_a_broker_that_accepts_and_never_answers_costs_its_timeout() -> None:
    if importlib.util.find_spec("paho") is None:
        missing("paho-mqtt is not installed (pip install 'auroramon[mqtt]')")
    begun = time.monotonic()
    with silent() as port, pytest.raises(PublishError, match="refuses: no answer"):
        Mqtt(f"mqtt://127.0.0.1:{port}", 0.3).send(ON)
    assert time.monotonic() - begun < 20
    with pytest.raises(PublishError, match=r"cannot be reached: .*refused"):
        Mqtt(f"mqtt://127.0.0.1:{unused_port()}", 1.0).send(ON)


class Stuck:
    """An address that never takes anything until it is let go."""

    name = "webhook"
    retains = False

    def __init__(self) -> None:
        self.free = threading.Event()

    def send(self, news: News) -> None:
        assert self.free.wait(60)

    def close(self) -> None:
        pass


class Shaky:
    """Fails twice, then takes."""

    name = "mqtt"
    retains = True

    def __init__(self) -> None:
        self.tries = 0

    def send(self, news: News) -> None:
        self.tries += 1
        if self.tries <= 2:
            raise PublishError("not now")

    def close(self) -> None:
        pass


def test_an_address_that_hangs_holds_nobody_up_and_what_is_dropped_is_counted() -> None:
    counts: Counter[tuple[str, str]] = Counter()
    stuck = Stuck()
    with ExitStack() as stack:
        courier = stack.enter_context(Courier(stuck, lambda to, result: counts.update([(to, result)])))
        stack.callback(stuck.free.set)
        begun = time.monotonic()
        for _ in range(WAITING + 50):
            courier.offer(ON)
        assert time.monotonic() - begun < 5
        assert 48 <= counts["webhook", "dropped"] <= 50
        stuck.free.set()
        wait_until(lambda: counts["webhook", "sent"] + counts["webhook", "dropped"] == WAITING + 50, "all is told")


def test_what_still_waits_at_the_end_is_told() -> None:
    counts: Counter[tuple[str, str]] = Counter()
    shaky = Shaky()
    shaky.tries = 2
    with Courier(shaky, lambda to, result: counts.update([(to, result)])) as courier:
        for _ in range(WAITING):
            courier.offer(ON)
    assert counts == {("mqtt", "sent"): WAITING}


def test_an_address_that_hangs_does_not_hold_up_the_end_and_its_news_is_counted() -> None:
    counts: Counter[tuple[str, str]] = Counter()
    stuck = Stuck()
    try:
        with Courier(stuck, lambda to, result: counts.update([(to, result)]), leave_s=0.3) as courier:
            for _ in range(4):
                courier.offer(ON)
        assert counts == {("webhook", "dropped"): 4}
    finally:
        stuck.free.set()


def test_news_is_tried_three_times() -> None:
    counts: Counter[tuple[str, str]] = Counter()
    shaky = Shaky()
    with Courier(shaky, lambda to, result: counts.update([(to, result)]), pause_s=0.01) as courier:
        courier.offer(ON)
        wait_until(lambda: bool(counts), "it is told")
        shaky.tries = -1
        courier.offer(ON)
        wait_until(lambda: sum(counts.values()) == 2, "it is given up")
    assert counts == {("mqtt", "sent"): 1, ("mqtt", "failed"): 1}


def test_an_address_is_logged_without_what_is_secret_in_it() -> None:
    assert place("mqtts://me:pw@broker.example:8883/topic") == "broker.example:8883"
    assert place("https://hooks.example/T0/secret") == "hooks.example"
