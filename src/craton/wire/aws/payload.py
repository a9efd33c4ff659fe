"""Bodies that stream past a signature: held against the hash that it covers, or unpacked from AWS's chunks.

Chunks ("aws-chunked"): SIZE[;chunk-signature=...] CRLF bytes CRLF, the last of size 0, then trailers. A chunk's
signature covers its bytes and the signature before it.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and sigv4-streaming-trailers.html
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from craton.core.errors import CratonError, Damaged, InvalidRequest
from craton.wire.http import BodyStream

BLOCK = 1024 * 1024  # bytes that are handed on at once
MAX_LINE = 1024  # of a chunk's head
MAX_TRAILERS = 16 * 1024
_EMPTY = hashlib.sha256().hexdigest()


class PayloadMismatch(CratonError, PermissionError):
    """The body is not the one that was signed."""

    def __str__(self) -> str:
        return "The body does not have the hash that the signature states."


class ChunkSigner:
    """Signs chunk after chunk. key: the signing key. seed: the signature of the head."""

    def __init__(self, key: bytes, timestamp: str, scope: str, seed: str) -> None:
        self._key, self._timestamp, self._scope, self._last = key, timestamp, scope, seed

    def check_chunk(self, sha256: str, signature: str) -> None:
        """Raises PayloadMismatch."""
        self._check("AWS4-HMAC-SHA256-PAYLOAD", f"{_EMPTY}\n{sha256}", signature)

    def check_trailer(self, sha256: str, signature: str) -> None:
        self._check("AWS4-HMAC-SHA256-TRAILER", sha256, signature)

    def _check(self, algorithm: str, what: str, signature: str) -> None:
        text = f"{algorithm}\n{self._timestamp}\n{self._scope}\n{self._last}\n{what}"
        expected = hmac.digest(self._key, text.encode(), hashlib.sha256).hex()
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise PayloadMismatch
        self._last = expected


@dataclass(frozen=True, slots=True)
class Payload:
    """What a signature promises of its body: a hash, or that it is framed in chunks, signed or not; or nothing."""

    sha256: str = ""
    framed: bool = False
    signer: ChunkSigner | None = None
    signed_trailer: bool = False

    def decoded(self, raw: BodyStream, headers: Mapping[str, str]) -> BodyStream:
        if self.framed:
            return _Framed(raw, headers, self)
        return _Plain(raw, self.sha256)


class _Plain:
    """In blocks, so that hashing and writing go to a thread for each block and not for each packet."""

    def __init__(self, raw: BodyStream, sha256: str) -> None:
        self.length, self.trailers = raw.length, raw.trailers
        self._raw, self._sha256 = raw, sha256

    async def __aiter__(self) -> AsyncIterator[bytes]:
        hasher, size = hashlib.sha256(), 0
        async for block in _blocks(self._raw):
            if self._sha256:
                await asyncio.to_thread(hasher.update, block)
            size += len(block)
            yield block
        if self._sha256 and not hmac.compare_digest(hasher.hexdigest(), self._sha256):
            raise PayloadMismatch
        _check_length(self.length, size)


class _Framed:
    def __init__(self, raw: BodyStream, headers: Mapping[str, str], payload: Payload) -> None:
        announced = headers.get("x-amz-decoded-content-length", "")
        self.length = int(announced) if announced.isdecimal() and len(announced) < 20 else None
        self.trailers: dict[str, str] = {}
        self._raw, self._payload = raw, payload

    async def __aiter__(self) -> AsyncIterator[bytes]:
        source, size = _Source(aiter(_blocks(self._raw))), 0
        signer = self._payload.signer
        while True:
            length, signature = _chunk_head(await source.line(MAX_LINE))
            hasher, rest = hashlib.sha256(), length
            while rest:
                piece = await source.some(rest)
                if signer:
                    await asyncio.to_thread(hasher.update, piece)
                rest, size = rest - len(piece), size + len(piece)
                yield piece
            if signer:
                signer.check_chunk(hasher.hexdigest(), signature)
            if not length:
                break
            if await source.line(0):
                raise InvalidRequest("a chunk is longer than its head says")
        await self._read_trailers(source)
        _check_length(self.length, size)

    async def _read_trailers(self, source: _Source) -> None:
        canonical, signature, room = "", "", MAX_TRAILERS
        while line := await source.line(room, may_end=True):
            room = max(1, room - len(line))
            name, _, value = line.partition(":")
            name, value = name.strip().lower(), value.strip()
            if name == "x-amz-trailer-signature":
                signature = value
            else:
                self.trailers[name] = value
                canonical += f"{name}:{value}\n"
        if self._payload.signer and self._payload.signed_trailer:
            self._payload.signer.check_trailer(hashlib.sha256(canonical.encode()).hexdigest(), signature)


class _Source:
    """Lines and bytes out of blocks."""

    def __init__(self, blocks: AsyncIterator[bytes]) -> None:
        self._blocks, self._held, self._at = blocks, b"", 0

    async def some(self, limit: int) -> bytes:
        """Up to limit bytes, at least one."""
        if self._at == len(self._held) and not await self._more():
            raise _cut()
        piece = self._held[self._at : self._at + limit]
        self._at += len(piece)
        return piece

    async def line(self, limit: int, *, may_end: bool = False) -> str:
        """Without its CRLF. may_end: "" when nothing comes any more."""
        while (end := self._held.find(b"\r\n", self._at)) < 0:
            if len(self._held) - self._at > limit + 2:
                raise InvalidRequest("a chunk's head, its end or the trailers are not as they should be")
            if not await self._more():
                if may_end and self._at == len(self._held):
                    return ""
                raise _cut()
        line = self._held[self._at : end]
        if len(line) > limit:
            raise InvalidRequest("a chunk's head, its end or the trailers are not as they should be")
        self._at = end + 2
        return line.decode("latin-1")

    async def _more(self) -> bool:
        block = await anext(self._blocks, b"")
        self._held, self._at = self._held[self._at :] + block, 0
        return bool(block)


async def _blocks(raw: BodyStream) -> AsyncIterator[bytes]:
    """The same bytes, in pieces of about BLOCK."""
    held: list[bytes] = []
    size = 0
    async for piece in raw:
        held.append(piece)
        size += len(piece)
        if size >= BLOCK:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _chunk_head(line: str) -> tuple[int, str]:
    """Size and signature."""
    size, _, extension = line.partition(";")
    try:
        length = int(size, 16) if size.isalnum() and len(size) <= 10 else -1
    except ValueError:
        length = -1
    if length < 0:
        raise InvalidRequest("a chunk does not begin with its size")
    return length, extension.strip().removeprefix("chunk-signature=")


def _check_length(announced: int | None, size: int) -> None:
    if announced is not None and announced != size:
        raise Damaged("The upload", f"{announced:,} bytes were announced and {size:,} came.")


def _cut() -> Damaged:
    return Damaged("The upload", "it ends within a chunk.")
