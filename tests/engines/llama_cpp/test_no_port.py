"""llama.cpp's HTTP server must not be reachable."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from craton.engines.llama_cpp.engine import LlamaCppEngine
from craton.engines.protocol import EngineSpec

pytestmark = pytest.mark.skipif(
    not Path("/proc/net/tcp").exists(), reason="reads Linux's /proc to see this process' sockets"
)
LISTENING = "0A"


def tcp_listeners() -> set[str]:
    """Addresses at which this process listens for TCP."""
    mine = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            mine.add(os.readlink(descriptor))
        except OSError:
            continue
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if Path(table).exists():
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENING and f"socket:[{fields[9]}]" in mine:
                    found.add(fields[1])
    return found


def test_no_tcp_port_is_opened_and_the_socket_is_private(
    spec_of: Callable[..., EngineSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before, handler = tcp_listeners(), signal.getsignal(signal.SIGTERM)
    engine = LlamaCppEngine.load(spec_of(context=256, parallel=1))
    assert tcp_listeners() == before
    assert signal.getsignal(signal.SIGTERM) is handler
    (folder,) = tmp_path.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (socket,) = folder.iterdir()
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://x") as stranger:
        assert stranger.post("/completion", json={"prompt": "x"}).status_code == 401
        assert stranger.get("/props").status_code == 401
        assert stranger.get("/").status_code == 404
    asyncio.run(engine.close())
    asyncio.run(engine.close())
    assert list(tmp_path.iterdir()) == []
