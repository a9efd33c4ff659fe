"""A run that fills the disk says so, leaves nothing behind, and the server goes on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from tests.faults.dialects import speak
from tests.faults.test_full_disk import pytestmark, small_disk

__all__ = ["pytestmark"]

LARGE = {
    "method": "deep",
    "data": {"ref": "sklearn:digits", "limit": 300},
    "model": {"use": "mlp", "params": {"hidden": [1024, 512]}},
    "train": {"epochs": 3},
    "eval": {"report": False},
    "output": {"model": "acme/large"},
}
"""Its checkpoint takes some 10 MB, and the next one is written beside it."""


def trained(client: httpx.Client, spec: dict[str, Any]) -> dict[str, Any]:
    job = client.post("/api/craton/v1/trainings", json=spec).json()["id"]
    give_up = time.monotonic() + 180
    while (found := client.get(f"/api/craton/v1/jobs/{job}").json())["status"] in {"queued", "running"}:
        assert time.monotonic() < give_up, found
        time.sleep(0.1)
    return dict(found)


@pytest.mark.slow
def test_a_run_that_fills_the_disk_ends_and_takes_its_files_along(tmp_path: Path) -> None:
    with small_disk(tmp_path, "14m") as disk, disk.server.client() as client:
        failed = trained(client, LARGE)
        assert (failed["status"], failed["attempt"]) == ("failed", 1)
        assert "disk" in failed["error"]
        assert client.get("/api/models/acme/large").status_code == 404
        assert [*(disk.server.home / "runs").iterdir()] == []
        assert speak("openai", disk.server).ask("echo", "it goes on") == "it goes on"
        assert disk.craton("keys", "create", "--name", "after")[0] == 0
