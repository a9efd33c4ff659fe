"""A small closed-loop HTTP/1.1 load generator: raw blocking sockets, so that it costs less than what it measures."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import re
import socket
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import quantiles
from threading import Thread
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Load:
    """Requests to one address, sent one after the other. connections: at once; seconds: how long. body: of every
    request; or `bodies`, of one after the other, with which every connection begins elsewhere. each: more headers of
    the request with that body (a signature)."""

    url: str
    method: str
    headers: dict[str, str]
    body: bytes
    connections: int
    seconds: float
    bodies: tuple[bytes, ...] = ()
    each: tuple[dict[str, str], ...] = ()

    def raw(self) -> list[bytes]:
        bodies = self.bodies or (self.body,)
        return [self._raw(body, more) for body, more in zip(bodies, self.each or [{}] * len(bodies), strict=True)]

    def _raw(self, body: bytes, more: dict[str, str]) -> bytes:
        parts = urlsplit(self.url)
        headers = {"host": parts.netloc, "content-length": str(len(body)), **self.headers, **more}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{self.method} {parts.path or '/'} HTTP/1.1\r\n{head}\r\n".encode() + body


@dataclass(frozen=True)
class Result:
    """requests per second, and latencies in milliseconds."""

    rate: float
    p50: float
    p95: float
    p99: float


def run(load: Load) -> Result:
    """In a process of its own, so that its interpreter lock is not the server's or the caller's."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_drive, args=(load, theirs))
    process.start()
    theirs.close()  # so that a process that fails ends the wait
    latencies: list[float] = ours.recv()
    process.join()
    if not latencies:
        raise RuntimeError("no request was answered")
    cuts = quantiles(latencies, n=100)
    return Result(len(latencies) / load.seconds, cuts[49] * 1000, cuts[94] * 1000, cuts[98] * 1000)


def _drive(load: Load, answer: Connection) -> None:
    latencies: list[float] = []
    ends = time.perf_counter() + load.seconds
    threads = [Thread(target=_loop, args=(load, number, ends, latencies)) for number in range(load.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answer.send(latencies)


def _loop(load: Load, number: int, ends: float, latencies: list[float]) -> None:
    parts = urlsplit(load.url)
    raw = load.raw()
    requests = itertools.cycle(
        raw[number * len(raw) // load.connections :] + raw[: number * len(raw) // load.connections]
    )
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.perf_counter() < ends:
            began = time.perf_counter()
            connection.sendall(next(requests))
            _read_answer(connection)
            latencies.append(time.perf_counter() - began)


def _read_answer(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"not answered: {data[:500]!r}")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    if length is None:
        while not body.endswith(b"0\r\n\r\n"):
            body += _some(connection)
        return
    while len(body) < int(length[1]):
        body += _some(connection)


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise RuntimeError("the server hung up")
    return data


if __name__ == "__main__":
    print(json.dumps(vars(run(Load(sys.argv[1], "GET", {}, b"", 8, 2.0)))))
