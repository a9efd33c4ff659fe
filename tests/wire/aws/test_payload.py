"""Bodies that stream: held against their hash, unpacked from AWS's chunks, refused when one bit is off."""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import AsyncIterator

import pytest

from craton.core.errors import CratonError, Damaged, InvalidRequest
from craton.wire.aws.payload import ChunkSigner, Payload, PayloadMismatch

pytestmark = pytest.mark.anyio

# The worked example of AWS's page on signed chunks: 65 KiB of "a" with the example key pair.
SECRET, DATE, SCOPE = (
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "20130524T000000Z",
    "20130524/us-east-1/s3/aws4_request",
)
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
CHUNKS = (
    (65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
    (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
    (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
)


def signing_key() -> bytes:
    key = f"AWS4{SECRET}".encode()
    for step in SCOPE.split("/"):
        key = hmac.digest(key, step.encode(), hashlib.sha256)
    return key


class Raw:
    """A body that comes in pieces."""

    def __init__(self, body: bytes, piece: int = 1000, length: int | None = None) -> None:
        self.length, self.trailers = length, {}
        self._body, self._piece = body, piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), self._piece):
            yield self._body[start : start + self._piece]


async def read(body: bytes, payload: Payload, piece: int = 1000, decoded: int | None = None) -> tuple[bytes, dict]:  # type: ignore[type-arg]
    headers = {} if decoded is None else {"x-amz-decoded-content-length": str(decoded)}
    stream = payload.decoded(Raw(body, piece, len(body)), headers)
    return b"".join([block async for block in stream]), stream.trailers


def signed_body() -> bytes:
    return b"".join(b"%x;chunk-signature=%s\r\n%s\r\n" % (size, name.encode(), b"a" * size) for size, name in CHUNKS)


def signed() -> Payload:
    return Payload(framed=True, signer=ChunkSigner(signing_key(), DATE, SCOPE, SEED))


@pytest.mark.parametrize("piece", [1, 7, 65536, 10**6])
async def test_the_example_of_signed_chunks_is_taken(piece: int) -> None:
    body, _ = await read(signed_body(), signed(), piece, 66560)
    assert body == b"a" * 66560


async def test_any_change_of_signed_chunks_is_refused() -> None:
    right = signed_body()
    for place in (0, 10, 90, 200, 65700, 66800, len(right) - 20):
        changed = right[:place] + bytes([right[place] ^ 1]) + right[place + 1 :]
        with pytest.raises(CratonError):
            await read(changed, signed(), decoded=66560)
    first, second, last = (b"%x;chunk-signature=%s\r\n%s\r\n" % (n, s.encode(), b"a" * n) for n, s in CHUNKS)
    for wrong in (second + first + last, first + last, first + second, first + first + second + last):
        with pytest.raises(CratonError):
            await read(wrong, signed(), decoded=66560)


async def test_trailers_are_given_at_the_end() -> None:
    body = b"5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n"
    for piece in (1, 3, 1000):
        found, trailers = await read(body, Payload(framed=True), piece, 11)
        assert (found, trailers) == (b"hello world", {"x-amz-checksum-crc32": "DUoRhQ=="})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"5",
        b"5\r\nhell",
        b"5\r\nhello",
        b"5\r\nhello\r\n",
        b"5\r\nhelloo\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"zz\r\nhello\r\n0\r\n\r\n",
        b"ffffffffffffffff\r\nhello",
        b"5" * 5000,
        b"0\r\n" + b"x:y\r\n" * 10_000 + b"\r\n",
        b"4\r\nhell\r\n0\r\n\r\n",
    ],
)
async def test_chunks_that_are_not_as_they_should_be(body: bytes) -> None:
    with pytest.raises((Damaged, InvalidRequest)):
        await read(body, Payload(framed=True), decoded=5)


async def test_a_body_is_held_against_its_hash_and_length() -> None:
    right = hashlib.sha256(b"hello").hexdigest()
    assert (await read(b"hello", Payload(right)))[0] == b"hello"
    assert (await read(b"", Payload(hashlib.sha256().hexdigest())))[0] == b""
    with pytest.raises(PayloadMismatch):
        await read(b"other", Payload(right))
    stream = Payload().decoded(Raw(b"hell", length=5), {})
    with pytest.raises(Damaged):
        assert [block async for block in stream]


@pytest.mark.parametrize("seed", range(50))
async def test_random_bytes_are_an_error_or_a_body_and_nothing_else(seed: int) -> None:
    bytes_of = random.Random(seed)
    body = bytes(bytes_of.choice(b"0123456789abcdef;=\r\n x") for _ in range(bytes_of.randrange(200)))
    try:
        await read(body, Payload(framed=True), bytes_of.randrange(1, 50))
    except CratonError:
        return
