"""A model's config.json, read with suspicion: every number has a type and bounds before anything is computed of it."""

from __future__ import annotations

import math
from typing import Any

from craton.core.errors import Damaged, Unsupported

MAX_WHOLE = 1 << 31


class Settings:
    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def whole(self, *names: str, default: int | None = None) -> int:
        """A positive whole number under the first of these names that is set. Raises Damaged."""
        value = self.get(*names)
        if value is None and default is not None:
            return default
        if type(value) is not int or not 0 < value < MAX_WHOLE:
            raise Damaged("config.json", f"{names[0]} is {str(value)[:40]}, not a positive whole number")
        return value

    def count(self, name: str) -> int:
        """A whole number that may be 0, or is missing."""
        return 0 if not self.get(name) else self.whole(name)

    def number(self, *names: str, default: float | None = None) -> float:
        value = self.get(*names)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise Damaged("config.json", f"{names[0]} is {str(value)[:40]}, not a number")
        return float(value)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self._values.get(name, default)
        return default if value is None else value is True

    def get(self, *names: str) -> Any:
        return next((self._values[name] for name in names if self._values.get(name) is not None), None)

    def require(self, name: str, *allowed: Any, default: Any = None) -> None:
        """Raises Unsupported unless the value is one of those that llama.cpp computes with."""
        value = self._values.get(name)
        value = default if value is None else value
        if value not in allowed:
            raise Unsupported(f"{name}={str(value)[:60]} in GGUF", "llama.cpp computes these models in another way.")

    @property
    def layers(self) -> int:
        return self.whole("num_hidden_layers", "n_layer")

    @property
    def heads(self) -> int:
        return self.whole("num_attention_heads", "n_head")

    @property
    def kv_heads(self) -> int:
        return self.whole("num_key_value_heads", default=self.heads)

    @property
    def width(self) -> int:
        return self.whole("hidden_size", "n_embd")

    @property
    def head_width(self) -> int:
        return self.whole("head_dim", default=self.width // self.heads)

    def rope(self, layers: str = "full_attention") -> dict[str, Any]:
        """Rotary positions, as transformers 5 writes them, or older versions did. layers: where kinds of layers differ.

        Always with rope_type; rope_theta where it is said.
        """
        said = self.get("rope_parameters", "rope_scaling") or {}
        if not isinstance(said, dict):
            raise Damaged("config.json", "its rope_parameters are not an object")
        inner = said.get(layers)
        found = dict(inner) if isinstance(inner, dict) else dict(said)
        found.setdefault("rope_type", found.get("type") or "default")
        if "rope_theta" not in found and self.get("rope_theta") is not None:
            found["rope_theta"] = self.get("rope_theta")
        return found
