"""From a Hugging Face folder to one GGUF file, in numpy: no torch, nothing that is trusted in the folder."""

from __future__ import annotations

from craton.formats.conversion.converting import KINDS, to_gguf, why_not

__all__ = ["KINDS", "to_gguf", "why_not"]
