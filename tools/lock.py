"""Rewrites requirements/*.txt from pyproject.toml, for every platform and Python at once, with hashes.

Needs `uv` (pip install uv). The files carry neither index addresses nor local paths.
"""

from __future__ import annotations

import subprocess
import sys

LOCKS = {
    "requirements/base.txt": (),
    "requirements/clients.txt": ("--extra", "clients"),
    "requirements/dev.txt": (
        *("--extra", "clients", "--extra", "postgres", "--extra", "telemetry"),
        *("--group", "test"),
    ),
}
OPTIONS = "--universal --generate-hashes --python-version 3.11 --no-header --no-annotate --quiet --no-emit-index-url"


def main() -> None:
    upgrade = ["--upgrade"] if "--upgrade" in sys.argv else []
    for path, extras in LOCKS.items():
        constraint = [] if path.endswith("base.txt") else ["-c", "requirements/base.txt"]
        command = [
            "uv",
            "pip",
            "compile",
            "pyproject.toml",
            *OPTIONS.split(),
            *upgrade,
            *extras,
            *constraint,
            "-o",
            path,
        ]
        subprocess.run(command, check=True)
        print(path)


if __name__ == "__main__":
    main()
