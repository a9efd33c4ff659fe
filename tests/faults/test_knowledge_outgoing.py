"""Web sources cannot be used to reach what only the server's machine can reach: typed refusals, and nothing fetched."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.app.knowing import Aws, Json, told
from tests.servers import RunningServer


class Inside(BaseHTTPRequestHandler):
    """A service that only this machine reaches. It notes who came."""

    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html><body><p>The secret of the inside.</p></body></html>")

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def inside() -> Iterator[ThreadingHTTPServer]:
    Inside.seen = []
    service = ThreadingHTTPServer(("127.0.0.1", 0), Inside)
    thread = threading.Thread(target=service.serve_forever)
    thread.start()
    yield service
    service.shutdown()
    thread.join()
    service.server_close()


@pytest.fixture(scope="module")
def aws(server: RunningServer) -> Aws:
    return Aws(server)


def web(url: str) -> Json:
    return {
        "type": "WEB",
        "webConfiguration": {"sourceConfiguration": {"urlConfiguration": {"seedUrls": [{"url": url}]}}},
    }


HOSTS = (
    "127.0.0.1:{port}",
    "localhost:{port}",
    "0.0.0.0:{port}",
    "2130706433:{port}",
    "0x7f000001:{port}",
    "127.1:{port}",
    "169.254.169.254",
    "metadata.google.internal",
    "10.0.0.1",
    "user:password@127.0.0.1:{port}",
)


def test_no_address_of_the_inside_is_fetched(aws: Aws, inside: ThreadingHTTPServer, server: RunningServer) -> None:
    """Refused when the source is made, or when it is read: the ingestion fails with a reason, or its document does."""
    base = aws.base()
    port = inside.server_address[1]
    for host in HOSTS:
        url = f"http://{host.format(port=port)}/latest/meta-data/"
        try:
            source = base.source(web(url))
        except aws.agent.exceptions.ValidationException:
            continue
        job = source.ended(source.start()["ingestionJobId"])
        assert job["statistics"]["numberOfNewDocumentsIndexed"] == 0, host
        reasons = " ".join(job["failureReasons"])
        assert job["status"] == "FAILED" or job["statistics"]["numberOfDocumentsFailed"], (host, job)
        assert "allow" in reasons or "not" in reasons, (host, reasons)
        assert "secret of the inside" not in reasons
    assert Inside.seen == []
    assert base.retrieve("secret inside") == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/x"])
def test_only_the_web_is_a_web_source(aws: Aws, url: str) -> None:
    assert told(lambda: aws.base().source(web(url)))[:2] == ("ValidationException", 400)


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "FOLDER", "path": "/etc"},
        {"type": "API", "url": "http://169.254.169.254/latest/"},
        {"type": "SQL", "database": "nobody-registered-this", "table": "t", "key": ["id"]},
        {"type": "WEB", "seeds": ["file:///etc/passwd"]},
        {"type": "NOTHING"},
    ],
)
def test_no_connector_reaches_what_the_operator_has_not_opened(aws: Aws, parameters: Json) -> None:
    base = aws.base()
    configuration = {
        "type": "MANAGED_KNOWLEDGE_BASE_CONNECTOR",
        "managedKnowledgeBaseConnectorConfiguration": {"connectorParameters": parameters},
    }
    try:
        source = base.source(configuration)
    except aws.agent.exceptions.ClientError as error:
        refusal = error.response["Error"]["Code"]
    else:
        job = source.ended(source.start()["ingestionJobId"])
        assert job["statistics"]["numberOfDocumentsScanned"] == job["statistics"]["numberOfDocumentsFailed"]
        refusal = job["status"]
    assert refusal in {"ValidationException", "AccessDeniedException", "ResourceNotFoundException", "FAILED"}
