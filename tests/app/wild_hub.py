"""A hub on loopback that speaks the routes a mirror uses, and misbehaves on request; its storage is another origin."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

LARGE = ".safetensors"


@dataclass
class Wild:
    """A repository. lies: path -> other bytes. cut: an answer breaks off after so many bytes. slow: seconds between
    blocks. elsewhere: where files are redirected to, instead of the storage."""

    files: dict[str, bytes]
    commit: str = "1" * 40
    lies: dict[str, bytes] = field(default_factory=dict)
    listing: list[dict[str, Any]] | None = None
    cut: int = 0
    slow: float = 0.0
    gated: bool = False
    elsewhere: str = ""


class WildHub:
    """repos: by name, all in the namespace "wild". seen: (path, headers) of every request, to hub and storage."""

    def __init__(self) -> None:
        self.repos: dict[str, Wild] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.url = self.storage = ""

    def asked(self, part: str) -> list[dict[str, str]]:
        """The headers of the requests whose path holds this."""
        return [headers for path, headers in self.seen if part in path]

    def answer(self, handler: BaseHTTPRequestHandler, *, storage: bool) -> None:
        path = handler.path.partition("?")[0]
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.seen.append((("storage:" if storage else "") + unquote(handler.path), headers))
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if storage:
            return self._file(handler, self.repos[parts[0]], "/".join(parts[1:]))
        api = parts[:2] == ["api", "models"]
        repo = self.repos.get(parts[3] if api else parts[1])
        if repo is None:
            return _send(handler, 404, b"{}", {"x-error-code": "RepoNotFound"})
        if api and parts[4] == "revision":
            told = {"id": f"wild/{parts[3]}", "sha": repo.commit, "private": False, "gated": repo.gated}
            return _send(handler, 200, json.dumps(told).encode())
        if api:
            return _send(handler, 200, json.dumps(repo.listing or _items(repo.files)).encode())
        place = repo.elsewhere or self.storage
        where = f"{place}/{parts[1]}/{'/'.join(parts[4:])}"
        return _send(handler, 302, b"", {"location": where})

    def _file(self, handler: BaseHTTPRequestHandler, repo: Wild, path: str) -> None:
        body = repo.lies.get(path, repo.files[path])
        start = int(handler.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("content-range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        handler.send_header("content-length", str(len(body) - start))
        handler.end_headers()
        end = min(len(body), start + repo.cut) if repo.cut else len(body)
        for at in range(start, end, 256 * 1024):
            handler.wfile.write(body[at : min(end, at + 256 * 1024)])
            time.sleep(repo.slow)
        handler.close_connection = True


def _items(files: dict[str, bytes]) -> list[dict[str, Any]]:
    items = []
    for path, content in files.items():
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        item: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": oid}
        if path.endswith(LARGE):
            item["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
        items.append(item)
    return items


def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    handler.send_response(status)
    for name, value in {**(headers or {}), "content-length": str(len(body))}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def wild_hub() -> Iterator[WildHub]:
    wild = WildHub()
    servers = [_server(wild, storage=False), _server(wild, storage=True)]
    threads = [threading.Thread(target=it.serve_forever, kwargs={"poll_interval": 0.02}) for it in servers]
    for thread in threads:
        thread.start()
    wild.url, wild.storage = (f"http://127.0.0.1:{it.server_port}" for it in servers)
    yield wild
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()


def _server(wild: WildHub, *, storage: bool) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wild.answer(self, storage=storage)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that leaves early is part of these tests."""

    return Server(("127.0.0.1", 0), Handler)
