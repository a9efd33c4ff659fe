from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from craton.children.process import Process, clean_environment
from craton.core.errors import Damaged, ModelUnavailable, TooLarge, Unsupported
from craton.data.documents import Parser
from craton.data.parsing import ParseLimits, ParserPool
from craton.data.parsing.pool import spawn_child
from tests.data.parsing.hostile import pdf

pytestmark = pytest.mark.anyio


class Spawned:
    """Starts children and remembers them."""

    def __init__(self) -> None:
        self.processes: list[Process] = []

    async def __call__(self, megabytes: int) -> Process:
        self.processes.append(await spawn_child(megabytes))
        return self.processes[-1]


@pytest.fixture
def spawned() -> Spawned:
    return Spawned()


@pytest.fixture
async def pool(spawned: Spawned) -> AsyncIterator[ParserPool]:
    pool = ParserPool(
        1, ParseLimits(cpu_seconds=3, wall_seconds=60, megabytes=400, documents_per_child=20), spawn=spawned
    )
    yield pool
    await pool.close()


def written(folder: Path, content: bytes | str) -> Path:
    path = folder / f"document-{len(list(folder.iterdir()))}"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


async def test_a_child_reads_document_after_document(pool: ParserPool, spawned: Spawned, tmp_path: Path) -> None:
    parser: Parser = pool
    for number in range(5):
        result = await parser.parse(written(tmp_path, f"# Title {number}\n\nText."), "a.md", "")
        assert result.title == f"Title {number}"
        assert [block.kind for block in result.blocks] == ["heading", "paragraph"]
    with pytest.raises(Unsupported, match="empty"):
        await parser.parse(written(tmp_path, b""), "a.md", "")
    assert len(spawned.processes) == 1


async def test_a_text_larger_than_a_frame_arrives_whole(tmp_path: Path) -> None:
    pool = ParserPool()
    text = "日本語の文章です。" * 2_200_000
    result = await pool.parse(written(tmp_path, text), "a.txt", "")
    assert len(text.encode()) > 48 << 20
    assert result.text == text
    await pool.close()


async def test_sixteen_hundred_pages_are_read_within_the_bounds(tmp_path: Path) -> None:
    pool = ParserPool(limits=ParseLimits(megabytes=300))
    path = written(tmp_path, pdf([[f"Page {page} line {line} of many." for line in range(20)] for page in range(1600)]))
    result = await pool.parse(path, "a.pdf", "")
    assert result.blocks[-1].page == 1600
    await pool.close()


async def test_a_document_that_takes_too_much_time_fails_alone(
    pool: ParserPool, spawned: Spawned, tmp_path: Path
) -> None:
    slow = written(tmp_path, pdf([["word " * 200] * 100] * 150))
    quick = ParserPool(1, ParseLimits(cpu_seconds=0.2), spawn=spawned)
    with pytest.raises(TooLarge, match="processor time"):
        await quick.parse(slow, "a.pdf", "")
    assert (await quick.parse(written(tmp_path, "still here"), "a.txt", "")).text == "still here"
    assert len(spawned.processes) == 2
    await quick.close()


async def test_a_document_that_takes_too_much_memory_fails_alone(tmp_path: Path) -> None:
    pool = ParserPool(1, ParseLimits(megabytes=60))
    with pytest.raises((TooLarge, Damaged)):
        await pool.parse(written(tmp_path, "[" + '{"a": [1, 2, 3]},' * 1_500_000 + "1]"), "a.json", "")
    assert (await pool.parse(written(tmp_path, "still here"), "a.txt", "")).text == "still here"
    await pool.close()


async def test_a_child_that_dies_fails_its_document_alone(pool: ParserPool, spawned: Spawned, tmp_path: Path) -> None:
    path = written(tmp_path, "still here")
    await pool.parse(path, "a.txt", "")
    os.kill(spawned.processes[0].pid, signal.SIGSTOP)
    reading = asyncio.create_task(pool.parse(path, "a.txt", ""))
    await asyncio.sleep(0.2)
    os.kill(spawned.processes[0].pid, signal.SIGKILL)
    with pytest.raises(Damaged):
        await reading
    assert (await pool.parse(path, "a.txt", "")).text == "still here"


async def test_a_child_that_hangs_fails_its_document_alone(spawned: Spawned, tmp_path: Path) -> None:
    pool = ParserPool(1, ParseLimits(wall_seconds=3), spawn=spawned)
    path = written(tmp_path, "still here")
    await pool.parse(path, "a.txt", "")
    os.kill(spawned.processes[0].pid, signal.SIGSTOP)
    with pytest.raises(TooLarge, match="seconds"):
        await pool.parse(path, "a.txt", "")
    assert (await pool.parse(path, "a.txt", "")).text == "still here"
    await pool.close()


async def test_a_child_is_replaced_after_many_documents(spawned: Spawned, tmp_path: Path) -> None:
    pool = ParserPool(1, ParseLimits(documents_per_child=2), spawn=spawned)
    for _ in range(5):
        await pool.parse(written(tmp_path, "text"), "a.txt", "")
    assert len(spawned.processes) == 3
    await pool.close()
    with pytest.raises(ModelUnavailable):
        await pool.parse(written(tmp_path, "text"), "a.txt", "")


async def test_closing_leaves_no_process(spawned: Spawned, tmp_path: Path) -> None:
    pool = ParserPool(2, spawn=spawned)
    path = written(tmp_path, "text")
    await asyncio.gather(*(pool.parse(path, "a.txt", "") for _ in range(6)))
    assert len(spawned.processes) == 2
    await pool.close()
    for process in spawned.processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process.pid, 0)


async def test_a_cancelled_document_leaves_the_pool_usable(pool: ParserPool, tmp_path: Path) -> None:
    path = written(tmp_path, "some words " * 500_000)
    reading = asyncio.create_task(pool.parse(path, "a.txt", ""))
    await asyncio.sleep(0.2)
    reading.cancel()
    await asyncio.wait([reading])
    assert (await pool.parse(written(tmp_path, "next"), "a.txt", "")).text == "next"


@pytest.mark.parametrize(
    "attempt",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
    ],
)
async def test_what_runs_in_a_child_reaches_nobody(attempt: str) -> None:
    program = f"import sys; from craton.data.parsing.child import refuse; sys.addaudithook(refuse); {attempt}"
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program), stderr=asyncio.subprocess.PIPE, env=clean_environment(os.environ)
    )
    _, errors = await child.communicate()
    assert b"PermissionError: a parser may not do this" in errors
