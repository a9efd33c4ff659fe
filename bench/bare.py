"""The least that a server of large files can do, for comparison: `python -m bench.bare FILE` prints its address.

Downloads are one sendfile of the file. Uploads through Xet and Git LFS are received and thrown away: nothing is hashed,
unpacked, written or synced. What a stock client reaches against it is what the client itself can do on this machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec

BLOCK = 1024 * 1024
ETAG = '"' + "a" * 64 + '"'


@contextmanager
def bare_server(file: Path) -> Iterator[str]:
    """Its URL; a process of its own."""
    process = subprocess.Popen([sys.executable, "-m", "bench.bare", str(file)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    file: Path
    url: str

    def do_HEAD(self) -> None:
        self._describe()

    def do_GET(self) -> None:
        if "/xet-write-token/" in self.path:
            self._tell({"casUrl": self.url, "accessToken": "t", "exp": 2**33})
        elif "/chunks/" in self.path:
            self.send_error(404)
        else:
            self._describe()
            with self.file.open("rb") as file:
                left, at = self.file.stat().st_size, 0
                while at < left:
                    at += os.sendfile(self.connection.fileno(), file.fileno(), at, left - at)

    def do_POST(self) -> None:
        if "/xet" in self.path or "/v1/" in self.path or "/v2/" in self.path:
            self.do_PUT()
            return
        content = self.rfile.read(int(self.headers["content-length"]))
        if "/preupload/" in self.path:
            (asked,) = msgspec.json.decode(content)["files"]
            self._tell({"files": [{"path": asked["path"], "uploadMode": "lfs", "shouldIgnore": False, "oid": None}]})
        elif self.path.endswith("/objects/batch"):
            (asked,) = msgspec.json.decode(content)["objects"]
            self._tell({"transfer": "basic", "objects": [asked | {"actions": {"upload": {"href": f"{self.url}/put"}}}]})
        else:
            self._tell({"commitUrl": f"{self.url}/a/b/commit/{'a' * 40}", "commitOid": "a" * 40})

    def do_PUT(self) -> None:
        left, block = int(self.headers["content-length"]), memoryview(bytearray(BLOCK))
        while left:
            left -= self.rfile.readinto(block[:left])  # type: ignore[attr-defined]
        self._tell({"was_inserted": True, "result": 1, "type": "result"})

    def log_message(self, *_: object) -> None:
        pass

    def _describe(self) -> None:
        self.send_response(200)
        for name, value in (("etag", ETAG), ("x-repo-commit", "a" * 40), ("accept-ranges", "bytes")):
            self.send_header(name, value)
        self.send_header("content-length", str(self.file.stat().st_size))
        self.end_headers()

    def _tell(self, value: object) -> None:
        body = msgspec.json.encode(value)
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    _Handler.file, _Handler.url = Path(sys.argv[1]), f"http://127.0.0.1:{server.server_port}"
    print(_Handler.url, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
