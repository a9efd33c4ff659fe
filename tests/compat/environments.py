"""One virtual environment for each generation of a client, made once and kept under build/compat/."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.compat.generations import Generation

ROOT = Path(__file__).resolve().parents[2] / "build" / "compat"
MARK = "craton-ready"  # written last: an environment without it was broken off


def python_of(generation: Generation) -> Path:
    """The interpreter of this generation's environment, which is made when it is not there.

    Raises subprocess.CalledProcessError with the installer's words in `stderr`.
    """
    wanted = "\n".join([*generation.requirements, generation.until])
    folder = ROOT / generation.name.replace(" ", "-")
    python, mark = folder / "bin" / "python", folder / MARK
    if mark.is_file() and mark.read_text() == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    ROOT.mkdir(parents=True, exist_ok=True)
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is not None:
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
        until = ["--exclude-newer", generation.until] if generation.until else []
        # uv does not read pip's settings: a CPU build of torch that pip would find on this machine is taken here too.
        found = [part for link in os.environ.get("PIP_FIND_LINKS", "").split() for part in ("--find-links", link)]
        _run([uv, "pip", "install", "--quiet", "--python", str(python), *found, *until, *generation.requirements])
    else:
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", *generation.requirements])
    mark.write_text(wanted)
    return python


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)
