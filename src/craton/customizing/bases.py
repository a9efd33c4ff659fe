"""Which models can be tuned, and why the others cannot; which can teach and judge."""

from __future__ import annotations

from typing import Protocol

from craton.core.access import Caller
from craton.core.errors import Unsupported
from craton.core.model import ModelInfo
from craton.customizing.models import CustomModels

ARCHITECTURES = frozenset(
    {"deepseek2", "falcon", "gemma", "gemma2", "gemma3", "gpt-oss", "gpt2", "llama", "qwen2", "qwen3"}
)
"""Those over which adapters are served, as GGUF files name them (engines/llama_cpp/layouts.py)."""
_MOST = 8  # names in a refusal


class Named(Protocol):
    """The part of `serve` that knows names."""

    async def model(self, caller: Caller, name: str) -> ModelInfo: ...

    async def models(self, caller: Caller) -> list[ModelInfo]: ...


def why_not(info: ModelInfo) -> str:
    """Why it cannot be tuned, "" when it can."""
    if info.base:
        return f"it is an adapter over {info.base}; tune that"
    if info.engine != "llama_cpp":
        return (info.details or {}).get(
            "refused"
        ) or "only models that write text, in a format that is served here, are"
    if info.architecture not in ARCHITECTURES:
        return f"its architecture is {info.architecture!r}; {', '.join(sorted(ARCHITECTURES))} are tuned"
    return ""


class Bases:
    """named: the models. custom: those that were made here."""

    def __init__(self, named: Named, models: CustomModels) -> None:
        self._named, self._models = named, models

    async def foundation(self, caller: Caller, name: str) -> str:
        """Its id. Raises NotFound; Unsupported, with those that can be tuned, for one that cannot."""
        info = await self._named.model(caller, name)
        if reason := why_not(info):
            able = [other.id for other in await self._named.models(caller) if not why_not(other)]
            known = f"Those that can be tuned: {', '.join(able[:_MOST])}." if able else "Nothing here can be tuned yet."
            raise Unsupported(f"Tuning {info.id!r}", f"{reason[:1].upper()}{reason[1:]}. {known}")
        return info.id

    async def custom(self, caller: Caller, identifier: str) -> str:
        """The same for a custom model's id: the name of its repository at its revision."""
        model = await self._models.get(caller.tenant, identifier)
        await self.foundation(caller, f"{model.repo}@{model.revision}")
        return f"{model.repo}@{model.revision}"

    async def writes(self, caller: Caller, name: str) -> None:
        """Of a teacher or a judge. Raises NotFound; Unsupported for one that writes no answers."""
        info = await self._named.model(caller, name)
        if "chat" not in info.verbs:
            raise Unsupported(f"{info.id!r} as a teacher or a judge", "It writes no answers.")
