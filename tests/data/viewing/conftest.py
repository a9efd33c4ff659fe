from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.viewing.tables import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    pytest.importorskip("pyarrow")
    return Desk(tmp_path)
