"""A local HTTP server whose every byte a test decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from msgspec import Struct

Raw = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Page(Struct, frozen=True):
    """raw: writes the whole answer itself."""

    body: bytes = b""
    status: str = "200 OK"
    headers: tuple[tuple[str, str], ...] = (("content-type", "text/html; charset=utf-8"),)
    raw: Raw | None = None


class Asked(Struct, frozen=True):
    target: str
    headers: dict[str, str]


class Site:
    """pages: by request target; `answer` is asked for the others."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[Asked] = []
        self.port = 0
        self.answer: Callable[[Asked], Page | None] = lambda asked: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def targets(self) -> list[str]:
        return [asked.target for asked in self.asked]

    def html(self, target: str, *links: str, text: str = "", head: str = "") -> None:
        anchors = "".join(f'<a href="{link}">x</a>' for link in links)
        self.pages[target] = Page(f"<html><head>{head}</head><body><p>{text}</p>{anchors}</body></html>".encode())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
            asked = Asked(lines[0].split(" ")[1], headers)
            self.asked.append(asked)
            page = self.pages.get(asked.target) or self.answer(asked) or Page(b"", "404 Not Found")
            if page.raw is not None:
                await page.raw(writer)
            else:
                await plain(writer, page)
        writer.close()


async def plain(writer: asyncio.StreamWriter, page: Page) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in page.headers)
    length = f"content-length: {len(page.body)}\r\nconnection: close\r\n"
    writer.write(f"HTTP/1.1 {page.status}\r\n{head}{length}\r\n".encode() + page.body)
    await writer.drain()


def redirect(target: str) -> Page:
    return Page(b"", "302 Found", (("location", target),))


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    made = Site()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
