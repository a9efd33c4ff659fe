"""Two hundred requests at once, good, bad and abandoned, in three dialects."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.faults.dialects import NAMES, Dialect, speak
from tests.faults.seen import resident_bytes, running, wait_until
from tests.servers import RunningServer, serving

CLIENTS = 200
EACH = 2


async def good(client: httpx.AsyncClient, dialect: Dialect, words: str, *, stream: bool) -> str:
    body = dialect.body("echo", words, stream=stream)
    response = await client.post(dialect.url("echo", stream=stream), json=body, headers=dialect.headers())
    if response.status_code == 200 and (stream or words in response.text):
        return "right"
    return f"wrong {response.status_code}: {response.text[:200]}"


async def bad(client: httpx.AsyncClient, dialect: Dialect, chance: random.Random) -> str:
    body = json.dumps(dialect.body("echo", "hello")).encode()
    place = chance.randrange(len(body))
    contents = [body[:place], b"[" * 1000, body.replace(b"hello", b"\xff"), b"{}", body.replace(b"user", b"nobody")]
    response = await client.post(
        dialect.url("no-such" if chance.random() < 0.2 else "echo"),
        content=chance.choice(contents),
        headers=dialect.headers() if chance.random() < 0.8 else {},
    )
    return "refused" if 400 <= response.status_code < 500 else f"wrong {response.status_code}: {response.text[:200]}"


async def leaving(client: httpx.AsyncClient, dialect: Dialect, chance: random.Random) -> str:
    body = dialect.body("echo", "slowly " * 50, stream=True)
    url = dialect.url("echo", stream=True)
    try:
        async with asyncio.timeout(chance.uniform(0.0, 0.4)):
            async with client.stream("POST", url, json=body, headers=dialect.headers()) as response:
                async for _ in response.aiter_bytes():
                    if chance.random() < 0.3:
                        return "left"
    except TimeoutError:
        pass
    return "left"


async def storm(server: RunningServer, dialects: list[Dialect]) -> Counter[str]:
    outcomes: Counter[str] = Counter()

    async def one(index: int) -> None:
        chance = random.Random(index)
        # A client each: one pool of httpx walks through all its connections for every request.
        async with httpx.AsyncClient(trust_env=False, timeout=60, verify=False) as client:
            for turn in range(EACH):
                dialect = dialects[(index + turn) % 3]
                what = chance.choice(["good", "good", "streamed", "bad", "leaving"])
                if what == "bad":
                    outcomes[await bad(client, dialect, chance)] += 1
                elif what == "leaving":
                    outcomes[await leaving(client, dialect, chance)] += 1
                else:
                    outcomes[await good(client, dialect, f"words of {index}", stream=what == "streamed")] += 1

    await asyncio.gather(*(one(index) for index in range(CLIENTS)))
    return outcomes


@pytest.mark.slow
def test_a_storm_of_two_hundred_clients_leaves_no_trace(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "replies.yaml").write_text("rules:\n  - when: {contains: slowly}\n    delay: {between_ms: 20}\n")
    with serving(home, config="[echo]\nscript = 'replies.yaml'\n") as server:
        dialects = [speak(name, server) for name in NAMES]
        asyncio.run(storm(server, dialects))
        before = resident_bytes(server.pid)
        outcomes = asyncio.run(storm(server, dialects))
        assert set(outcomes) == {"right", "refused", "left"}, outcomes
        assert sum(outcomes.values()) == CLIENTS * EACH
        wait_until(lambda: running(server, "echo") == 0)
        assert resident_bytes(server.pid) - before < 40 * 2**20
        assert all(dialect.ask("echo", "still here") == "still here" for dialect in dialects)
    assert "Traceback" not in server.log.read_text()
