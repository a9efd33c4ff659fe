"""What a GGUF file is worth: perplexity on a text, speed, and answers to a test set. Measured by llama.cpp itself, in a
process of its own.

Perplexity is exp of the mean negative log-likelihood of each token after those before it (Jelinek et al., 1977). A
token of which llama.cpp tells no probability, because it is a part of a letter, is left out: before and after alike.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from craton.core.errors import ModelUnavailable

SECONDS = 1800.0
TOKENS = 256
MAX_TEXT = 4 * 1024 * 1024  # characters; only the beginning is read
MAX_CASES = 1000


class Case(Struct, frozen=True):
    """One of a test set."""

    prompt: str
    completion: str


class Wanted(Struct, frozen=True):
    """tokens: of the text, at most. template: the model's own, for the cases."""

    file: str
    text: str
    tokens: int = TOKENS
    threads: int = 1
    template: str = ""
    cases: tuple[Case, ...] = ()


class Measured(Struct, frozen=True):
    """size: bytes of the file. read and write: tokens a second of one stream, of a prompt and of an answer.
    score: the share of the cases whose answer begins as it should, None without any."""

    size: int
    perplexity: float
    tokens: int
    read: float
    write: float
    score: float | None = None


def measure(wanted: Wanted) -> Measured:
    """Blocks. Raises ModelUnavailable when llama.cpp cannot run the file."""
    command = [sys.executable, "-m", "craton.conversion.quantising.measuring_child"]
    done = subprocess.run(
        command,
        input=msgspec.json.encode(wanted),
        capture_output=True,
        timeout=SECONDS,
        env=dict(os.environ),
        check=False,
    )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:200]
        raise ModelUnavailable(Path(wanted.file).name, f"It could not be measured: {last}")
    return msgspec.json.decode(done.stdout, type=Measured)


async def measured(wanted: Wanted) -> Measured:
    return await asyncio.to_thread(measure, wanted)
