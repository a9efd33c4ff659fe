"""A chat template that is hostile to some conversations only: it reaches a worker, and no further."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from craton.core.chat import ChatRequest, Message, Sampling, TextPart
from craton.core.errors import InvalidRequest, ModelFailed
from craton.core.events import fold_stream
from craton.engines.llama_cpp.engine import LlamaCppEngine
from craton.engines.protocol import EngineSpec
from craton.engines.worker import LifeSettings, Worker, WorkerSettings

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform != "linux", reason="the bounds are Linux's")]

HOSTILE = (
    "{% set ns = namespace(text='x' * 1000) %}{% for m in messages %}"
    "{% if 'swell' in m.content %}{% for i in range(40) %}{% set ns.text = ns.text + ns.text %}{% endfor %}{% endif %}"
    "{% if 'spin' in m.content %}{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}"
    "{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
ALLOWED = 2600  # MiB: what the model takes, and the bound


def ask(text: str) -> ChatRequest:
    return ChatRequest("m", (Message("user", (TextPart(text),)),), sampling=Sampling(max_tokens=2))


def peak(pid: int | None) -> int:
    """MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) // 1024


REFUSING = (
    "{% for m in messages %}{% if 'forbidden' in m.content %}{{ raise_exception('no') }}{% endif %}"
    "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)


async def test_a_conversation_that_the_template_refuses_is_the_callers_error(
    spec_of: Callable[..., EngineSpec],
) -> None:
    loaded = LlamaCppEngine.load(spec_of(REFUSING, context=64, parallel=1))
    try:
        with pytest.raises(InvalidRequest):
            await loaded.count_tokens(ask("forbidden"))
        with pytest.raises(InvalidRequest):
            await fold_stream(loaded.chat(ask("forbidden")))
        assert (await fold_stream(loaded.chat(ask("hello")))).usage.input == await loaded.count_tokens(ask("hello"))
    finally:
        await loaded.close()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["llama_cpp", "llama_cpp_counter"])
async def test_a_template_that_swells_or_spins_fails_its_own_request(
    engine: str, spec_of: Callable[..., EngineSpec]
) -> None:
    spec = replace(spec_of(HOSTILE, context=128, parallel=2), engine=engine)
    settings = WorkerSettings(
        life=LifeSettings(ping_seconds=0.2, hang_seconds=12)
    )  # a bomb may take seconds on a busy machine
    worker = Worker(spec, settings)
    await worker.start()
    try:
        fine = await worker.count_tokens(ask("hello"))
        first = worker.pid
        with pytest.raises(ModelFailed, match="out of memory"):
            await worker.count_tokens(ask("swell"))
        if engine == "llama_cpp":
            with pytest.raises(ModelFailed, match="out of memory"):
                await fold_stream(worker.chat(ask("swell")))
        assert worker.pid == first
        assert peak(first) < ALLOWED
        with pytest.raises(ModelFailed, match="did not answer"):
            await worker.count_tokens(ask("spin"))
        assert await worker.count_tokens(ask("hello")) == fine
    finally:
        await worker.close()
