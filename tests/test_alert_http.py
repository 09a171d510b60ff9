"""Actions over HTTP and a server on loopback: a webhook, and the API of Alertmanager."""

import http.server
import json
import os
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alert_tools import EPOCH, PAGE, RULE, SECOND, Bench, told_by_a_bench
from link_tools import make_certificates
from process_tools import until

from rnts.alerts.action import ActionError, Policy
from rnts.alerts.actions import ActionPool
from rnts.alerts.actions_http import AlertmanagerAction, WebhookAction
from rnts.alerts.notification import Notification


@pytest.fixture
def notification(tmp_path: Path) -> Notification:
    """What a bench tells when a critical rule with a cause fires."""
    return told_by_a_bench(tmp_path / "alerts")


class Server(http.server.ThreadingHTTPServer):
    """Answers POSTs with the statuses that it is given, the last one for ever."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses = [200]
        self.is_over = threading.Event()  # what trickles ends then
        self.got: list[tuple[str, dict[str, str], Any]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    """Writes each request down."""

    server: Server

    def do_POST(self) -> None:
        """Answer with the next status."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.got.append((self.path, dict(self.headers), body))
        statuses = self.server.statuses
        if self.path == "/trickle":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not self.server.is_over.wait(0.02):
                self.wfile.write(b"X-Another: header\r\n")
            return
        self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on loopback."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_webhook(notification: Notification, server: Server) -> None:
    """A webhook gets the document, and its idempotency key as a header too."""
    WebhookAction(f"{server.url}/hook?team=a", headers={"X-Team": "a"}).run(notification)

    [(path, headers, body)] = server.got
    assert path == "/hook?team=a" and headers["X-Team"] == "a"
    assert headers["Idempotency-Key"] == body["key"] == notification.key
    assert body["alerts"][0]["bound"] == "1" and body["worst"][0]["share"] == 1.0


@pytest.mark.parametrize(("status", "is_final"), [(503, False), (429, False), (404, True)])
def test_webhook_that_is_refused(
    notification: Notification, server: Server, status: int, is_final: bool
) -> None:
    """A refusal is an error, which says whether to try again is of use."""
    server.statuses = [status]
    with pytest.raises(ActionError, match=str(status)) as caught:
        WebhookAction(server.url).run(notification)
    assert caught.value.is_final == is_final


def test_who_asks_may_stand_in_the_address(notification: Notification, server: Server) -> None:
    """A name and a password before the host are told as any client tells them; a header wins."""
    url = server.url.replace("http://", "http://ann:a%40b@")
    WebhookAction(url).run(notification)
    WebhookAction(url, headers={"authorization": "Bearer c"}).run(notification)

    first, second = (
        [value for name, value in headers.items() if name.lower() == "authorization"]
        for _, headers, _ in server.got
    )
    assert first == ["Basic YW5uOmFAYg=="] and second == ["Bearer c"]


def test_webhook_that_answers_for_ever(notification: Notification, server: Server) -> None:
    """The time-out is for the whole try, also where some bytes come all the time."""
    action = WebhookAction(f"{server.url}/trickle", timeout_s=0.3)
    trying = threading.Thread(target=pytest.raises, args=(ActionError, action.run, notification))
    trying.start()
    trying.join(20)  # a hundred headers would take as long as a server likes, which is for ever
    is_held_up = trying.is_alive()
    server.is_over.set()
    trying.join()
    assert not is_held_up and len(server.got) == 1


def test_webhook_that_nobody_answers(notification: Notification, server: Server) -> None:
    """An address without a server is an error that may pass, https to plain http too."""
    with pytest.raises(ActionError, match="cannot be told") as caught:
        WebhookAction(server.url.replace("http", "https"), timeout_s=5).run(notification)
    assert not caught.value.is_final
    with pytest.raises(ValueError, match="no address"):
        WebhookAction("ftp://somewhere")


def test_webhook_verifies_certificates(
    notification: Notification, server: Server, tmp_path: Path
) -> None:
    """A server whose certificate nobody vouches for hears nothing; one that is vouched for does."""
    folder = tmp_path / "certificates"
    make_certificates(folder, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = server.url.replace("http", "https")

    with pytest.raises(ActionError, match="CERTIFICATE_VERIFY_FAILED"):
        WebhookAction(url).run(notification)
    assert server.got == []
    WebhookAction(url, authority=folder / "ca.pem").run(notification)
    assert len(server.got) == 1


def test_alertmanager(notification: Notification, server: Server) -> None:
    """Alertmanager gets each alert with labels, annotations and times as its API has them."""
    AlertmanagerAction(f"{server.url}/am/?team=a").run(notification)

    [(path, _, [alert])] = server.got
    assert path == "/am/api/v2/alerts?team=a"
    assert alert["labels"] == {"alertname": "hot", "severity": "critical", "neuron": "n1"}
    assert alert["startsAt"] == "2023-11-14T22:13:22Z" and alert["endsAt"] > alert["startsAt"]


def test_alertmanager_knows_each_alert_of_a_digest(tmp_path: Path, server: Server) -> None:
    """An alert has its own severity, alone and among others: by its labels it is known there."""
    rules = [replace(RULE, name=name, severity=name) for name in ("info", "warning")]
    bench = Bench(tmp_path / "alerts", *rules, receivers=[replace(PAGE, burst=1, group_wait_ns=0)])
    for name in ("info", "warning"):
        bench.observe(name, {"neuron": "n1"}, 1)
    assert bench.tick() == ["2 rules digest 2"]
    AlertmanagerAction(server.url).run(bench.delivered.got[0])
    bench.memory.close()
    [(_, _, alerts)] = server.got
    labels = [alert["labels"] for alert in alerts]
    assert {one["alertname"]: one["severity"] for one in labels} == {
        "info": "info",
        "warning": "warning",
    }


def test_desk_with_a_real_pool(tmp_path: Path, server: Server) -> None:
    """From a truth to a webhook: told, carried out, and no longer remembered as to be told."""
    bench = Bench(tmp_path, RULE, receivers=[PAGE])
    pool = ActionPool({"page": (WebhookAction(server.url), Policy(back_off_ns=1))})
    bench.desk._deliverer = pool
    try:
        assert bench.step({"n1": 1}) == ["hot firing 1"]
        until(lambda: bench.tick() == [] and not bench.table.outbox)
        assert bench.step({"n1": 0}) == ["hot resolved 1"]
        until(lambda: bench.tick() == [] and not bench.table.outbox)
    finally:
        pool.close()
        bench.memory.close()
    assert [body["kind"] for _, _, body in server.got] == ["firing", "resolved"]
    assert server.got[0][2]["wall_ns"] == EPOCH + 2 * SECOND
    assert os.stat(tmp_path / "alerts.journal").st_mode & 0o777 == 0o600
