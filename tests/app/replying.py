"""An HTTP API on this machine that answers with JSON."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Query = dict[str, str]


class Replying:
    """answer: of the query's parameters (or the members of a JSON body). pause: seconds before it answers. seen: the
    queries and headers so far."""

    def __init__(self) -> None:
        self.answer: Callable[[Query], Any] = lambda query: []
        self.status = 200
        self.pause = 0.0
        self.seen: list[tuple[Query, dict[str, str]]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply(dict(parse_qsl(urlsplit(self.path).query)))

            def do_POST(self) -> None:
                self._reply(json.loads(self.rfile.read(int(self.headers["content-length"]))))

            def _reply(self, query: Query) -> None:
                api.seen.append((query, {name.lower(): value for name, value in self.headers.items()}))
                time.sleep(api.pause)
                body = json.dumps(api.answer(query)).encode()
                self.send_response(api.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Replying:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
