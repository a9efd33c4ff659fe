"""Lines come out as they went in, however the bytes are cut."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from craton.batch.lines import Line, lines

pytestmark = pytest.mark.anyio


async def read(data: bytes, cuts: list[int], limit: int = 100) -> list[Line]:
    async def blocks() -> AsyncIterator[bytes]:
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            yield data[start:end]

    return [line async for line in lines(blocks(), limit)]


@pytest.mark.parametrize("seed", range(20))
async def test_lines_do_not_depend_on_how_bytes_arrive(seed: int) -> None:
    chance = random.Random(seed)
    texts = [bytes(chance.choices(b"ab {}", k=chance.choice([0, 1, 5, 100, 101, 250]))) for _ in range(30)]
    data = b"\n".join(texts)
    cuts = sorted(chance.sample(range(len(data)), 8))
    expected = [
        Line(number, None if len(text) > 100 else text.strip())
        for number, text in enumerate(texts, 1)
        if len(text) > 100 or text.strip()
    ]
    assert await read(data, cuts) == expected


async def test_blank_lines_count_only_for_the_numbers_of_others() -> None:
    assert await read(b"\xef\xbb\xbfone\r\n\r\n  \ntwo", []) == [Line(1, b"one"), Line(4, b"two")]


async def test_nothing_is_no_line() -> None:
    assert await read(b"", []) == []
