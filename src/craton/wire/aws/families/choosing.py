"""Which family a body is of: told by its own keys, and where they say the same, by the model."""

from __future__ import annotations

from craton.core.chat import Json
from craton.core.model import ModelInfo
from craton.wire.aws.families.cohere import COMMAND
from craton.wire.aws.families.completing import DEEPSEEK, LLAMA, MISTRAL
from craton.wire.aws.families.protocol import Family
from craton.wire.aws.families.titan import TITAN

_BY_NAME = {"mistral": MISTRAL, "mixtral": MISTRAL, "deepseek": DEEPSEEK, "llama": LLAMA}
"""By the beginning of a model's family, architecture or name. Llama's bodies have max_gen_len, never max_tokens."""


def family_of(body: Json, info: ModelInfo) -> Family | None:
    """None: of another dialect, or an embedder's."""
    if "chat" not in info.verbs:
        return None
    if "inputText" in body:
        return TITAN if "textGenerationConfig" in body or "embed" not in info.verbs else None
    if "message" in body and "messages" not in body:
        return COMMAND
    if "max_gen_len" in body:
        return LLAMA
    if "prompt" not in body:
        return None
    names = (info.family.lower(), info.architecture.lower(), info.id.lower())
    found = (family for name in names for start, family in _BY_NAME.items() if name.startswith(start))
    return next((family for family in found if family is not LLAMA or "max_tokens" not in body), None)
