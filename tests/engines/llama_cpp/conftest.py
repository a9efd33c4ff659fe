"""The starter model, loaded once for all tests of this folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from craton.core.model import ModelInfo
from craton.engines.llama_cpp.engine import LlamaCppEngine
from craton.engines.protocol import EngineSpec

CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}"
    "{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.fixture(scope="session")
def spec_of(starter_files: Path) -> Callable[..., EngineSpec]:
    """Makes a spec for the starter model, with another template or other options."""

    def make(template: str | None = CHATML, **options: Any) -> EngineSpec:
        info = ModelInfo(
            id="starter",
            verbs=("chat",),
            engine="llama_cpp",
            context_length=8192,
            parameters=134_515_008,
            chat_template=template,
        )
        path = starter_files / "SmolLM2-135M-Instruct.Q4_1.gguf"
        options = {"threads": 1} | options  # threads of two tests would spin at each other's cost
        return EngineSpec(engine="llama_cpp", model="starter", info=info, files={path.name: str(path)}, options=options)

    return make


@pytest.fixture(scope="session")
def engine(spec_of: Callable[..., EngineSpec]) -> Iterator[LlamaCppEngine]:
    loaded = LlamaCppEngine.load(spec_of(context=512, parallel=4))
    yield loaded
    asyncio.run(loaded.close())
