"""Models in safetensors that write text: the transformers engine runs them, where PyTorch is installed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any

NO_WRITER = (
    "models in safetensors that write text run on PyTorch, which is not installed: `pip install 'craton[train]'`, or "
    "convert the model (`craton models convert`)"
)


def writes_text(config: Mapping[str, Any]) -> bool:
    names = config.get("architectures")
    return isinstance(names, list) and any(str(name).endswith(("ForCausalLM", "LMHeadModel")) for name in names)


@cache
def can_write() -> bool:
    """Whether the extra is installed. Looks for its files, and imports nothing."""
    return find_spec("torch") is not None and find_spec("transformers") is not None
