"""Fixtures that every part of the tests shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def starter_files() -> Path:
    """A folder with the starter models' files, as `craton models pull` unpacks them.

    `make test` fetches them and sets CRATON_TEST_STARTERS.
    """
    folder = Path(os.environ.get("CRATON_TEST_STARTERS", ""))
    if not (folder / "SmolLM2-135M-Instruct.Q4_1.gguf").is_file():
        pytest.skip("the starter models are not here: set CRATON_TEST_STARTERS (`make test` does)")
    return folder
