"""The Hugging Face Hub's dialect: one table, put together from parts that know nothing of each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from craton.wire.http import Route
from craton.wire.huggingface.naming import DIALECT


class Part(Protocol):
    """Some of the Hub's routes: what is about one noun."""

    def routes(self) -> list[Route]: ...


class HuggingFaceDialect:
    """What `huggingface_hub`, `transformers`, `datasets` and the `hf` command speak."""

    name = DIALECT

    def __init__(self, parts: Iterable[Part]) -> None:
        self._parts = tuple(parts)

    def routes(self) -> list[Route]:
        return [route for part in self._parts for route in part.routes()]
