"""A receiver of webhooks on this machine."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Heard:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    status: int


@dataclass
class Receiver:
    """answers: statuses of the next answers by path; 200 when there are none left."""

    port: int
    heard: list[Heard] = field(default_factory=list)
    answers: dict[str, list[int]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def at(self, path: str) -> list[Heard]:
        return [it for it in list(self.heard) if it.path == path]

    def wait(self, path: str, count: int, seconds: float = 20.0) -> list[Heard]:
        """What was heard there, once there are so many."""
        wait_until(lambda: len(self.at(path)) >= count, seconds, lambda: f"{self.heard}")
        return self.at(path)


def wait_until(done: Callable[[], bool], seconds: float, say: Callable[[], str]) -> None:
    give_up = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < give_up, say()
        time.sleep(0.02)


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    receiver = Receiver(port)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            left = receiver.answers.get(self.path, [])
            status = left.pop(0) if left else 200
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.heard.append(Heard(self.path, headers, body, status))
            self.send_response(status)
            if status in (301, 302, 307):
                self.send_header("location", f"http://127.0.0.1:{receiver.port}/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
