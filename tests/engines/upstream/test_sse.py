"""Server-sent events."""

from __future__ import annotations

import pytest

from craton.engines.upstream.failures import Malformed
from craton.engines.upstream.sse import ServerEvent, SseReader

BODY = b": hello\n\nevent: a\r\ndata: 1\r\ndata:2\r\nid: 7\r\n\r\ndata:  x: y\n\nevent: empty\n\ndata\n\ndata: cut"
EVENTS = [ServerEvent("a", b"1\n2"), ServerEvent("", b" x: y"), ServerEvent("", b"")]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_events_are_the_same_however_the_bytes_are_cut(size: int) -> None:
    reader = SseReader()
    pieces = [BODY[at : at + size] for at in range(0, len(BODY), size)]
    assert [event for piece in pieces for event in reader.feed(piece)] == EVENTS


@pytest.mark.parametrize("piece", [b"data: " + b"a" * 20, b"data: 12345\n", b"event: \xff\n"])
def test_events_over_the_limit_and_broken_names_are_malformed(piece: bytes) -> None:
    reader = SseReader(limit=20)
    with pytest.raises(Malformed):
        _ = [reader.feed(piece) for _ in range(3)]
