"""Which source a run is of: the git commit of the folder from which it is asked for."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

PATIENCE = 20.0  # seconds


def source_of(folder: Path) -> dict[str, Any]:
    """{"commit", "branch", "changed": files that differ from the commit}; empty outside a git checkout.

    Where it came from is left out: such addresses may hold credentials."""
    commit = said_by("git", "-C", str(folder), "rev-parse", "HEAD")
    if not commit:
        return {}
    branch = said_by("git", "-C", str(folder), "rev-parse", "--abbrev-ref", "HEAD")
    changed = said_by("git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no").splitlines()
    return {"commit": commit, "branch": branch, "changed": len(changed)}


def said_by(*command: str) -> str:
    """Its output; "" when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
