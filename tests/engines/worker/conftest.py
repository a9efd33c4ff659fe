"""Workers that run echo, with a script where a test needs one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from craton.core.chat import ChatRequest, Message, TextPart
from craton.core.model import ModelInfo
from craton.engines.protocol import EngineSpec

MakeSpec = Callable[..., EngineSpec]


@pytest.fixture
def echo_spec(tmp_path: Path) -> MakeSpec:
    """echo_spec(script="rules: ...", context=100, engine="echo")."""

    def make(script: str = "", context: int | None = None, engine: str = "echo") -> EngineSpec:
        options: dict[str, Any] = {}
        if script:
            path = tmp_path / "script.yaml"
            path.write_text(script)
            options["script"] = str(path)
        info = ModelInfo(id="echo", verbs=("chat", "embed"), engine=engine, context_length=context)
        return EngineSpec(engine, "echo", info, {}, options)

    return make


@pytest.fixture
def ask() -> Callable[..., ChatRequest]:
    def make(text: str, **values: Any) -> ChatRequest:
        return ChatRequest(model="echo", messages=(Message("user", (TextPart(text),)),), **values)

    return make
