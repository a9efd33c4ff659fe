"""Temporary folders of children outlive neither the child nor, for long, a server that was killed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from craton.children.process import FOLDERS, sweep_folders, temporary_folder


def test_folders_of_servers_that_are_gone_are_swept_and_others_stay() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    stale = Path(tempfile.mkdtemp(prefix=f"{FOLDERS}{gone.pid}-", dir=temporary_folder()))
    (stale / "s.sock").touch()
    live = Path(tempfile.mkdtemp(prefix=f"{FOLDERS}{os.getpid()}-", dir=temporary_folder()))
    try:
        sweep_folders()
        assert not stale.exists()
        assert live.exists()
    finally:
        live.rmdir()
