"""Tests of the project's own that need a program of this environment: they run in the project's Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from checks import holds

ROOT = Path(__file__).resolve().parents[3]
KEPT = ("PATH", "LANG", "TMPDIR", "HOME")


def passes(tests: str, variable: str, program: str) -> None:
    """program: of this environment, which the variable names to the tests."""
    command = [os.environ["CRATON_TEST_PYTHON"], "-m", "pytest", "-q", "-p", "no:cacheprovider", tests]
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    variables = kept | {variable: str(Path(sys.executable).with_name(program))}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    holds(done.returncode == 0 and "skipped" not in done.stdout, done.stdout[-2000:])
