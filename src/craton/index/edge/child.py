"""The index process: `python -m craton.index.edge.child FD PARENT`. It ends with its socket, and with its server."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

from craton.children.connection import Connection
from craton.children.errors import to_wire
from craton.children.frames import Frames, encode
from craton.children.limits import die_with
from craton.index.edge.frames import (
    Answer,
    Begin,
    Count,
    Delete,
    Done,
    Drop,
    Failed,
    Look,
    Open,
    Optimise,
    Ping,
    Pong,
    Ready,
    Refused,
    Request,
    Seen,
    ServerFrame,
    Upsert,
)
from craton.index.edge.shelf import Shelf

WHAT = "the index"


def main() -> None:
    die_with(int(sys.argv[2]))
    sock = socket.socket(fileno=int(sys.argv[1]))
    begin = _read_begin(sock)
    try:
        shelf = Shelf(Path(begin.folder), begin.settings)
    except Exception as error:
        sock.sendall(encode(Refused(to_wire(error, WHAT))))
        return
    asyncio.run(_serve(sock, shelf))


def _read_begin(sock: socket.socket) -> Begin:
    frames: Frames[ServerFrame] = Frames(ServerFrame)
    while data := sock.recv(65536):
        for frame in frames.feed(data):
            if isinstance(frame, Begin):
                return frame
    sys.exit(0)


async def _serve(sock: socket.socket, shelf: Shelf) -> None:
    ended = asyncio.Event()
    host = _Host(shelf)
    connection = await Connection[ServerFrame].open(sock, ServerFrame, host.received, lambda _why: ended.set())
    host.connection = connection
    connection.send(Ready())
    house = asyncio.create_task(shelf.keep_house())
    await ended.wait()
    house.cancel()
    await host.stop()


class _Host:
    """Searches and counts are answered at once; what waits has a task of its own."""

    connection: Connection[ServerFrame]

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._tasks: set[asyncio.Task[None]] = set()

    def received(self, frame: ServerFrame) -> None:
        if isinstance(frame, Ping):
            self.connection.send(Pong())
        elif isinstance(frame, (Look, Count, Open)):
            self.connection.send(self._at_once(frame))
        elif not isinstance(frame, Begin):
            task = asyncio.create_task(self._in_time(frame))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._shelf.close()

    def _at_once(self, frame: Look | Count | Open) -> Answer:
        try:
            if isinstance(frame, Look):
                return Seen(frame.id, self._shelf.search(frame.spec, frame.search))
            if isinstance(frame, Count):
                return Done(frame.id, self._shelf.count(frame.spec))
            self._shelf.open(frame.spec)
        except Exception as error:
            return Failed(frame.id, to_wire(error, WHAT))
        return Done(frame.id)

    async def _in_time(self, frame: Request) -> None:
        try:
            if isinstance(frame, Upsert):
                await self._shelf.upsert(frame.spec, frame.points)
            elif isinstance(frame, Delete):
                await self._shelf.delete(frame.spec, frame.ids)
            elif isinstance(frame, Optimise):
                await self._shelf.optimise(frame.spec)
            elif isinstance(frame, Drop):
                await self._shelf.drop(frame.spec)
        except Exception as error:
            self.connection.send(Failed(frame.id, to_wire(error, WHAT)))
        else:
            self.connection.send(Done(frame.id))


if __name__ == "__main__":
    main()
