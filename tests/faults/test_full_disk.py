"""A disk without room: answers go on, what cannot be kept is refused, and nothing that was acknowledged is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.dialects import NAMES, send, speak
from tests.faults.seen import wait_until
from tests.formats.makers import GgufMaker
from tests.servers import RunningServer, clean_environment

SIZE = "12m"


def _can_mount() -> bool:
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("nsenter"):
        return False
    mount = ["unshare", "-m", "mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", "/mnt"]
    return subprocess.run(mount, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not _can_mount(), reason="only root may mount a small disk (unshare -m, tmpfs)")


class SmallDisk:
    """A server whose home is a disk of its own, in a mount namespace that ends with it."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self._ballast = server.home / "ballast"

    def fill(self) -> None:
        with self._ballast.open("ab", buffering=0) as file:
            for block in (2**20, 2**12, 1):
                try:
                    while True:
                        file.write(b"\0" * block)
                except OSError:
                    pass

    def free(self) -> None:
        self._ballast.unlink()

    def craton(self, *arguments: str) -> tuple[int, str]:
        """The command line on the same disk."""
        command = ["nsenter", "-t", str(self.server.pid), "-m", sys.executable, "-m", "craton", *arguments]
        done = subprocess.run(
            command, env=dict(self.server.environment), capture_output=True, text=True, timeout=120, check=False
        )
        return done.returncode, done.stdout + done.stderr


@contextmanager
def small_disk(folder: Path, size: str = SIZE) -> Iterator[SmallDisk]:
    home, log = folder / "home", folder / "log"
    home.mkdir()
    environment = clean_environment(home)
    mounting = f'mount -t tmpfs -o size={size} none "$CRATON_HOME" && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", mounting, "sh", sys.executable, "-m", "craton", "serve", "--port", "0"]
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        seen = Path(f"/proc/{process.pid}/root{home}")  # the home as the server sees it
        wait_until((seen / "server.json").exists, 60)
        url = json.loads((seen / "server.json").read_text())["url"]
        token = (seen / "root.key").read_text().strip()
        yield SmallDisk(RunningServer(url, token, seen, process, log, environment))
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_full_disk(tmp_path: Path) -> None:
    file = tmp_path / "honest.gguf"
    file.write_bytes(
        GgufMaker().model(template=GgufMaker().string("tokenizer.chat_template", "{{ messages[0].content }}"))
    )
    with small_disk(tmp_path) as disk:
        server = disk.server
        dialects = [speak(name, server) for name in NAMES]
        ids = [send(dialects[1], dialects[1].body("echo", "before")).headers["x-request-id"]]
        assert disk.craton("keys", "create", "--name", "before")[0] == 0
        disk.fill()
        for dialect in dialects:
            assert dialect.ask("echo", "the disk is full") == "the disk is full"
        for _ in range(20):
            response = send(dialects[1], dialects[1].body("echo", "words " * 2000, max_tokens=9000))
            assert response.status_code == 200
            ids.append(response.headers["x-request-id"])
        for command in (
            ("keys", "create", "--name", "during"),
            ("models", "pull", str(file), "--name", "acme/honest"),
        ):
            code, said = disk.craton(*command)
            assert code == 1, said
            assert "disk" in said
            assert "Traceback" not in said
        time.sleep(1.5)  # the server has tried to write its rows
        assert dialects[0].ask("echo", "still here") == "still here"
        disk.free()

        def kept() -> set[str]:
            with server.client() as client:
                return {row["id"] for row in client.get("/api/craton/v1/requests?limit=100").json()["requests"]}

        wait_until(lambda: kept().issuperset(ids))
        keys = disk.craton("keys", "list")[1]
        assert "before" in keys
        assert "during" not in keys
        assert "acme/honest" not in disk.craton("models", "list")[1]
        code, said = disk.craton("models", "pull", str(file), "--name", "acme/honest")
        assert code == 0, said
        assert "acme/honest" in disk.craton("models", "list")[1]
        left = list((server.home / "blobs" / "tmp").iterdir())
        assert not left
