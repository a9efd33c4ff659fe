"""Many LoRA adapters in one worker: what they take in memory, and what changing from one to another costs.

The starter model with random adapters over all its projections, in workers as a server starts them. Memory is what the
system charges to the worker (Pss: pages that several processes map are divided among them). Goal: ten adapters in less
than 1.2 times the memory of one.

`python -m bench adapters [--count 10] [--rank 16] [--context 8192] [--parallel 4]`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from craton.core.chat import ChatRequest, Message, Sampling, TextPart
from craton.core.events import Delta
from craton.core.model import ModelInfo
from craton.engines.protocol import AdapterSpec, EngineSpec
from craton.engines.worker import Worker

MODEL = "smollm2-135m-instruct"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
LAYERS = 30
SHAPES = {  # of the starter's weights: rows, columns
    "self_attn.q_proj": (576, 576),
    "self_attn.k_proj": (192, 576),
    "self_attn.v_proj": (192, 576),
    "self_attn.o_proj": (576, 576),
    "mlp.gate_proj": (1536, 576),
    "mlp.up_proj": (1536, 576),
    "mlp.down_proj": (576, 1536),
}
TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"
WORDS = ("model", "reads", "text", "says", "which", "word", "may", "come", "next", "because", "seen", "many", "before")
MIB = 1 << 20


def make(folder: Path, rank: int, seed: int) -> AdapterSpec:
    random = np.random.default_rng(seed)
    folder.mkdir()
    tensors = {}
    for layer in range(LAYERS):
        for part, (rows, columns) in SHAPES.items():
            name = f"base_model.model.model.layers.{layer}.{part}"
            tensors[f"{name}.lora_A.weight"] = random.standard_normal((rank, columns)).astype(np.float32) * 0.02
            tensors[f"{name}.lora_B.weight"] = random.standard_normal((rows, rank)).astype(np.float32) * 0.02
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "base_model_name_or_path": MODEL, "r": rank, "lora_alpha": rank}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return AdapterSpec(f"{seed}", f"acme/{seed}", {path.name: str(path) for path in folder.iterdir()})


def prompt(seed: int, words: int = 120) -> str:
    random = np.random.default_rng(seed)
    return " ".join(random.choice(WORDS, words))


async def first_token(worker: Worker, adapter: str, text: str) -> float:
    """Milliseconds."""
    sampling = Sampling(max_tokens=2, temperature=0)
    request = ChatRequest(MODEL, (Message("user", (TextPart(text),)),), sampling=sampling, adapter=adapter)
    begun, first = time.perf_counter(), 0.0
    async with aclosing(worker.chat(request)) as events:
        async for event in events:
            if isinstance(event, Delta) and not first:
                first = time.perf_counter()
    return 1000 * ((first or time.perf_counter()) - begun)


async def speed(worker: Worker, adapter: str, tokens: int = 64) -> float:
    """Tokens a second of a lone stream, after its first."""
    sampling = Sampling(max_tokens=tokens, temperature=0, logit_bias={0: -100, 2: -100})
    message = Message("user", (TextPart(prompt(7)),))
    request = ChatRequest(MODEL, (message,), sampling=sampling, adapter=adapter)
    async with aclosing(worker.chat(request)) as events:
        times = [time.perf_counter() async for event in events if isinstance(event, Delta)]
    return (len(times) - 1) / (times[-1] - times[0])


def pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError(pid)


async def started(
    spec: EngineSpec, adapters: list[AdapterSpec], *, answers: int = 10, proven: bool = False
) -> tuple[Worker, float, int]:
    """A worker, the seconds that its start took, and its bytes after so many answers, of each adapter in turn."""
    from msgspec.structs import replace

    begun = time.perf_counter()
    worker = Worker(replace(spec, adapters=tuple(replace(adapter, proven=proven) for adapter in adapters)))
    await worker.start()
    seconds = time.perf_counter() - begun
    assert not worker.refused, worker.refused
    for number in range(answers):
        adapter = adapters[number % len(adapters)].key if adapters else ""
        await first_token(worker, adapter, prompt(number))
    assert worker.pid
    return worker, seconds, pss(worker.pid)


async def measure(spec: EngineSpec, adapters: list[AdapterSpec], rounds: int) -> dict[str, float]:
    one, seconds_one, bytes_one = await started(spec, adapters[:1])
    plain = await speed(one, adapters[0].key)
    await one.close()
    base, seconds_base, bytes_base = await started(spec, [])
    bare = await speed(base, "")
    await base.close()
    many, seconds_many, bytes_many = await started(spec, adapters)
    await many.close()
    many, seconds_again, _ = await started(spec, adapters, answers=1, proven=True)
    found = {
        "MiB base": bytes_base / MIB,
        "MiB one": bytes_one / MIB,
        "MiB many": bytes_many / MIB,
        "ratio many to one": bytes_many / bytes_one,
        "start s base": seconds_base,
        "start s one": seconds_one,
        "start s many": seconds_many,
        "start s many, proven": seconds_again,
        "tokens/s base": bare,
        "tokens/s one": plain,
        "tokens/s many": await speed(many, adapters[0].key),
    }
    a, b = adapters[0].key, adapters[1].key
    same, switched, again, back = [], [], [], []
    for number in range(rounds):
        text = prompt(1000 + number)
        await first_token(many, a, prompt(2000 + number))
        same.append(await first_token(many, a, text))  # another text, the same adapter
        again.append(await first_token(many, a, text))  # the same text: its prompt is cached
        switched.append(await first_token(many, b, prompt(3000 + number)))  # another text, another adapter
        back.append(await first_token(many, a, prompt(3000 + number)))  # that text, again another adapter
    await many.close()
    return found | {
        "first token ms, same adapter": median(same),
        "first token ms, another adapter": median(switched),
        "first token ms, same adapter and text": median(again),
        "first token ms, another adapter, same text": median(back),
    }


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="bench adapters")
    parser.add_argument("--starters", type=Path, default=Path(os.environ.get("CRATON_TEST_STARTERS", "build/starters")))
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--context", type=int, default=8192)
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    path = given.starters / FILE
    info = ModelInfo(
        MODEL,
        ("chat",),
        "llama_cpp",
        context_length=8192,
        parameters=134_515_008,
        size_bytes=path.stat().st_size,
        chat_template=TEMPLATE,
    )
    options: dict[str, Any] = {"context": given.context, "parallel": given.parallel, "threads": 1, "batch_threads": 1}
    spec = EngineSpec("llama_cpp", MODEL, info, {FILE: str(path)}, options)
    with tempfile.TemporaryDirectory() as folder:
        adapters = [make(Path(folder) / str(number), given.rank, number) for number in range(given.count)]
        size = sum(Path(path).stat().st_size for path in adapters[0].files.values())
        print(f"{given.count} adapters of rank {given.rank}, {size / MIB:.1f} MiB each; {options}")
        for name, value in asyncio.run(measure(spec, adapters, given.rounds)).items():
            print(f"{name:45} {value:10.2f}")
