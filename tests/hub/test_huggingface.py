"""Pulling from a hub: a real server on loopback that speaks its two routes, and misbehaves on request."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from craton.core.errors import CratonError, Damaged, InvalidRequest, ModelUnavailable, NotFound, Unsupported
from craton.hub.huggingface import HuggingFace, parse_name
from craton.hub.importing import Importer
from craton.hub.models import Models
from craton.hub.repositories import Hub

pytestmark = pytest.mark.anyio
SHA = "1" * 40


class FakeHub:
    """One repository, acme/net. cut: each answer breaks off after so many bytes; lies: path -> other bytes."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.lies: dict[str, bytes] = {}
        self.cut = 0
        self.ranges = True
        self.listing: bytes | None = None
        self.status = 0
        self.endpoint = ""
        self.requests: list[tuple[str, dict[str, str]]] = []

    def siblings(self) -> list[dict[str, Any]]:
        return [self._sibling(path, content) for path, content in self.files.items()]

    @staticmethod
    def _sibling(path: str, content: bytes) -> dict[str, Any]:
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        item: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": git}
        if path.endswith((".gguf", ".safetensors")):
            item["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
        return item

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path, _, query = handler.path.partition("?")
        self.requests.append((handler.path, {key.lower(): value for key, value in handler.headers.items()}))
        if self.status:
            return self._send(handler, self.status, b"{}")
        if path == "/api/models/acme/net/revision/main" and query == "blobs=true":
            body = json.dumps({"sha": SHA, "siblings": self.siblings()}).encode()
            return self._send(handler, 200, self.listing if self.listing is not None else body)
        if path.startswith(f"/acme/net/resolve/{SHA}/"):  # the real hub redirects to its storage
            handler.send_response(302)
            handler.send_header("location", "/storage/" + path.removeprefix(f"/acme/net/resolve/{SHA}/"))
            handler.send_header("content-length", "0")
            return handler.end_headers()
        name = unquote(path.removeprefix("/storage/"))
        if name not in self.files:
            return self._send(handler, 404, b"{}")
        return self._send(handler, 200, self.lies.get(name, self.files[name]))

    def _send(self, handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        wanted = handler.headers.get("range")
        if wanted and self.ranges and status == 200:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            handler.send_response(206)
            handler.send_header("content-range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            body = body[start:]
        else:
            handler.send_response(status)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        if self.cut and "/storage/" in handler.path and len(body) > self.cut:
            handler.wfile.write(body[: self.cut])
            handler.close_connection = True
        else:
            handler.wfile.write(body)


@pytest.fixture
def remote() -> Iterator[FakeHub]:
    fake = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            fake.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that leaves early is part of these tests."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    fake.endpoint = f"http://127.0.0.1:{server.server_port}"
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


async def pull(remote: Any, hub: Hub, folder: Path, name: str = "hf:acme/net", token: str | None = None) -> Any:
    steps: list[tuple[str, int, int]] = []
    async with httpx.AsyncClient() as client:
        source = HuggingFace(client, folder, endpoint=remote.endpoint, token=token, pause=lambda attempt: 0.0)
        done = await source.pull(Importer(Models(hub), "t"), parse_name(name), lambda *step: steps.append(step))
    return done, steps


async def test_a_gguf_and_the_words_beside_it_come_in(
    remote: FakeHub, local_hub: Hub, gguf_maker: Any, tmp_path: Path
) -> None:
    remote.files = {"net.gguf": gguf_maker.model(), "README.md": b"---\nlicense: mit\n---\nHi\n", "x.py": b"1"}
    done, steps = await pull(remote, local_hub, tmp_path / "partial", token="secret")
    assert (done.info.id, done.info.verbs, done.info.license) == ("acme/net", ("chat",), "mit")
    assert done.skipped == ("x.py",)
    downloads = [step for step in steps if step[0] == "download"]
    assert downloads[-1][1] == downloads[-1][2] == sum(len(remote.files[path]) for path in ("net.gguf", "README.md"))
    assert list((tmp_path / "partial").iterdir()) == []
    assert remote.requests[0][1]["authorization"] == "Bearer secret"
    again, _ = await pull(remote, local_hub, tmp_path / "partial")
    assert not again.changed


def read_folder(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_a_safetensors_folder_comes_in_without_what_could_run(
    remote: FakeHub, local_hub: Hub, bert_folder: Path, tmp_path: Path
) -> None:
    remote.files = read_folder(bert_folder)
    done, _ = await pull(remote, local_hub, tmp_path / "partial")
    assert done.info.verbs == ("embed",)
    assert done.skipped == ("modeling.py", "pytorch_model.bin")
    assert not any(path.endswith((".py", ".bin")) for path, _ in remote.requests)


async def test_several_ggufs_need_a_choice(remote: FakeHub, local_hub: Hub, gguf_maker: Any, tmp_path: Path) -> None:
    content = gguf_maker.model()
    remote.files = {"net-Q4_K_M.gguf": content, "net-Q8_0.gguf": content, "net-F16-00001-of-00002.gguf": content}
    for name, fault in (("hf:acme/net", "several"), ("hf:acme/net:Q5", "no GGUF"), ("hf:acme/net:Q", "several")):
        with pytest.raises(InvalidRequest, match=fault) as error:
            await pull(remote, local_hub, tmp_path / "partial", name)
        assert "net-Q8_0.gguf" in str(error.value)
    with pytest.raises(Unsupported):
        await pull(remote, local_hub, tmp_path / "partial", "hf:acme/net:f16")
    await pull(remote, local_hub, tmp_path / "partial", "hf:acme/net:q4_k_m")
    paths = [entry.path for entry in local_hub.tree("t", parse_name("hf:acme/net").repo)]
    assert paths == ["README.md", "net-Q4_K_M.gguf"]


@pytest.mark.parametrize("ranges", [True, False])
async def test_a_broken_download_goes_on(
    remote: FakeHub, local_hub: Hub, gguf_maker: Any, tmp_path: Path, ranges: bool
) -> None:
    remote.files = {"net.gguf": gguf_maker.model()}
    size = len(remote.files["net.gguf"])
    remote.cut, remote.ranges = size // 3 if ranges else size - 100, ranges
    if ranges:
        done, _ = await pull(remote, local_hub, tmp_path / "partial")
        asked = [headers["range"] for path, headers in remote.requests if "storage" in path and "range" in headers]
        assert len(asked) >= 2
    else:  # a server that knows no ranges never gets to the end; the next one begins anew
        with pytest.raises(ModelUnavailable, match="pull again"):
            await pull(remote, local_hub, tmp_path / "partial")
        remote.cut = 0
        done, _ = await pull(remote, local_hub, tmp_path / "partial")
    assert done.info.verbs == ("chat",)


@pytest.mark.parametrize("path", ["net.gguf", "README.md"])
async def test_other_bytes_than_the_hub_names_are_refused_and_forgotten(
    remote: FakeHub, local_hub: Hub, gguf_maker: Any, tmp_path: Path, path: str
) -> None:
    remote.files = {"net.gguf": gguf_maker.model(), "README.md": b"words"}
    for lie in (b"?" * len(remote.files[path]), remote.files[path] + b"?"):
        remote.lies = {path: lie}
        with pytest.raises(Damaged):
            await pull(remote, local_hub, tmp_path / "partial")
        with pytest.raises(NotFound):
            local_hub.get("t", parse_name("hf:acme/net").repo)
    remote.lies = {}
    assert (await pull(remote, local_hub, tmp_path / "partial"))[0].changed


@pytest.mark.parametrize(
    ("status", "error"), [(401, NotFound), (404, NotFound), (403, InvalidRequest), (500, ModelUnavailable)]
)
async def test_a_refusal_is_worded(
    remote: FakeHub, local_hub: Hub, tmp_path: Path, status: int, error: type[CratonError]
) -> None:
    remote.status = status
    with pytest.raises(error):
        await pull(remote, local_hub, tmp_path / "partial")


async def test_a_hub_that_is_not_there_is_unavailable(remote: FakeHub, local_hub: Hub, tmp_path: Path) -> None:
    remote.endpoint = "http://127.0.0.1:9"
    with pytest.raises(ModelUnavailable, match="could not be reached"):
        await pull(remote, local_hub, tmp_path / "partial")


HOSTILE = [
    b"",
    b"[]",
    b"[" * 100_000,
    b'{"sha": 1}',
    b'{"sha": "x", "siblings": [{"rfilename": "../../evil.gguf", "size": 1}]}',
    b'{"sha": "x", "siblings": [{"rfilename": "/evil.gguf", "size": 1}]}',
    b'{"sha": "x", "siblings": [{"rfilename": "a.gguf"}]}',
    b'{"sha": "x", "siblings": [{"rfilename": "a.gguf", "size": -1}]}',
    b'{"sha": "x", "siblings": [{"rfilename": "a.gguf", "size": 1e300}]}',
    b'{"sha": "x", "siblings": [{"rfilename": "a.gguf", "size": 9000000000000000000}]}',
    b'{"sha": "x", "siblings": [{"rfilename": "a.bin", "size": 1}]}',
    b" " * (17 * 1024 * 1024),
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
async def test_a_hostile_file_list_is_refused(remote: FakeHub, local_hub: Hub, tmp_path: Path, number: int) -> None:
    remote.listing = HOSTILE[number]
    with pytest.raises(CratonError):
        await pull(remote, local_hub, tmp_path / "partial")
    assert not list((tmp_path / "partial").glob("*"))
    assert len(remote.requests) == 1


@pytest.mark.parametrize(
    "name", ["hf:", "hf:net", "hf:a/b/c", "hf:../x", "hf:a/b@", "hf:a/b:", "hf:a/b c", "a/b", "hf:ä/b"]
)
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_name(name)


def test_a_name_has_a_revision_and_a_filter() -> None:
    model = parse_name("hf:acme/net@refs/pr/1:Q4_K_M")
    assert (model.repo.path, model.revision, model.wanted) == ("acme/net", "refs/pr/1", "Q4_K_M")
