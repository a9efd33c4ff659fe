"""What the documents say is true: generated pages are up to date."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_operations_page_is_what_the_route_table_says() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "operations.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
