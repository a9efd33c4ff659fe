"""Where a running server says its address. Imports no server, so that the command line stays quick."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct


class Running(Struct, frozen=True):
    """What a running server writes to CRATON_HOME/server.json."""

    url: str
    pid: int


def running(address_file: Path) -> Running | None:
    """The server that says it runs here, if its process is alive."""
    try:
        found = msgspec.json.decode(address_file.read_bytes(), type=Running)
        os.kill(found.pid, 0)
    except (OSError, msgspec.DecodeError):
        return None
    return found
