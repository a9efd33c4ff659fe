"""Rewrites requirements/*.txt from pyproject.toml, for every platform and Python at once, with hashes.

Needs `uv` (pip install uv). The files carry neither index addresses nor local paths. What training needs has exact
versions and no hashes: torch is built differently for each platform, and brings what its build needs itself.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TRAIN = "requirements/train.txt"
LOCKS = {
    "requirements/base.txt": (),
    "requirements/clients.txt": ("--extra", "clients"),
    "requirements/dev.txt": (
        *("--extra", "clients", "--extra", "postgres", "--extra", "telemetry"),
        *("--group", "test"),
    ),
    TRAIN: ("--extra", "train"),
}
CONSTRAINTS = {TRAIN: "requirements/dev.txt"}
OF_TORCH = ("cuda-", "nvidia-", "triton==")
HASHED = "--generate-hashes"
OPTIONS = "--universal --python-version 3.11 --no-header --no-annotate --quiet --no-emit-index-url"


def main() -> None:
    upgrade = ["--upgrade"] if "--upgrade" in sys.argv else []
    for path, extras in LOCKS.items():
        constraint = [] if path.endswith("base.txt") else ["-c", CONSTRAINTS.get(path, "requirements/base.txt")]
        command = [
            "uv",
            "pip",
            "compile",
            "pyproject.toml",
            *OPTIONS.split(),
            *([] if path == TRAIN else [HASHED]),
            *upgrade,
            *extras,
            *constraint,
            "-o",
            path,
        ]
        subprocess.run(command, check=True)
        if path == TRAIN:
            kept = [line for line in Path(path).read_text().splitlines() if not line.startswith(OF_TORCH)]
            Path(path).write_text("\n".join(kept) + "\n")
        print(path)


if __name__ == "__main__":
    main()
