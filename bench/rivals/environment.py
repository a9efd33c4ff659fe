"""The rivals' Python: environments under build/, each made once from its list, beside the project's own."""

from __future__ import annotations

import hashlib
import subprocess
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
FOLDER = Path("build/rivals")

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "true",
}
"""What keeps the rivals from calling anybody, and from saying so in the middle of a measurement."""


def python(requirements: Path = REQUIREMENTS, folder: Path = FOLDER) -> Path:
    """The rivals' interpreter; the first call installs up to 1 GB, and a changed list installs anew."""
    found = folder / "bin" / "python"
    mark = folder / "installed"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if mark.is_file() and mark.read_text() == wanted:
        return found
    print(f"installing the rivals into {folder} ...", flush=True)
    venv.create(folder, with_pip=True, clear=True)
    lines = [line for line in requirements.read_text().splitlines() if line and not line.startswith("#")]
    # torch alone first, in its exact version: what is left asks for any torch, and might bring CUDA along.
    torch = [line for line in lines if line.startswith("torch==")]
    for arguments in (torch, ["-r", str(requirements), "-c", str(requirements)]):
        if not arguments:
            continue
        subprocess.run([found, "-m", "pip", "install", "-q", *arguments], check=True)
    mark.write_text(wanted)
    return found
