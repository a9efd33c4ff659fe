"""`craton models pull` of what strangers made: a hub's files, a chat template."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cli.conftest import Craton
from tests.hub.conftest import GgufMaker

GOOD = "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{% endfor %}"
ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}"


def gguf(template: str) -> bytes:
    maker = GgufMaker()
    return maker.model(template=maker.string("tokenizer.chat_template", template))


@pytest.fixture
def hub() -> Iterator[tuple[str, list[str]]]:
    """The URL of a hub with the model acme/net, and the tokens that it was shown."""
    content, tokens = gguf(GOOD), list[str]()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tokens.append(self.headers.get("authorization", ""))
            lfs = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
            listing = {"sha": "1" * 40, "siblings": [{"rfilename": "net.gguf", "size": len(content), "lfs": lfs}]}
            body = json.dumps(listing).encode() if self.path.startswith("/api/models/acme/net/") else content
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", tokens
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_hubs_model_is_pulled_with_progress_in_lines(alone: Craton, hub: tuple[str, list[str]]) -> None:
    url, tokens = hub
    done = alone("models", "pull", "hf:acme/net", HF_ENDPOINT=url, HF_TOKEN="hf_mine")
    assert done.stdout.split()[3:5] == ["acme/net", "chat"]
    assert [line.split(": ")[1].split()[0] for line in done.stderr.splitlines() if line.startswith("hf:acme/net")] == [
        "downloading",
        "storing",
        "checking",
    ]
    assert set(tokens) == {"Bearer hf_mine"}
    assert json.loads(alone("models", "show", "acme/net", "--json").stdout)["chat_template"] == GOOD


def test_a_hostile_template_is_refused_and_nothing_is_kept(alone: Craton, tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(gguf(ENDLESS))
    done = alone("models", "pull", str(tmp_path / "bad.gguf"), check=False)
    assert (done.returncode, "chat_template" in done.stderr) == (1, True)
    assert json.loads(alone("models", "list", "--json").stdout) == []


def test_a_base_model_is_stored_and_said_not_to_be_served(alone: Craton, tmp_path: Path) -> None:
    maker = GgufMaker()
    (tmp_path / "base.gguf").write_bytes(maker.model(template=maker.string("general.organization", "acme")))
    done = alone("models", "pull", str(tmp_path / "base.gguf"), "--name", "acme/base")
    assert "acme/base" in done.stdout
    assert "no chat template" in done.stderr
    (told,) = json.loads(alone("models", "pull", str(tmp_path / "base.gguf"), "--name", "acme/base", "--json").stdout)
    assert (told["changed"], told["verbs"]) == (False, [])
