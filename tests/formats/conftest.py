"""Files of the formats, made in memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.formats.makers import GgufMaker, safetensors


@pytest.fixture
def gguf_maker() -> GgufMaker:
    return GgufMaker()


@pytest.fixture
def make_safetensors() -> Callable[[dict[str, tuple[int, ...]]], bytes]:
    """A float32 file with tensors of these shapes."""
    return safetensors
