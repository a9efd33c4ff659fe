"""The server as a process: health, readiness, clean stop."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx

from tests.servers import RunningServer, serving


def test_health_and_readiness_need_no_key(server: RunningServer) -> None:
    for path in ("/healthz", "/readyz"):
        assert httpx.get(server.url + path, trust_env=False).status_code == 200


def test_every_other_route_needs_one(server: RunningServer) -> None:
    for path in ("/metrics", "/api/craton/v1/status", "/v1/models", "/nothing/here", "/foundation-models"):
        assert httpx.get(server.url + path, trust_env=False).status_code in {401, 403}, path


def test_it_stops_on_sigterm_and_takes_its_address_back(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as running:
        assert (running.home / "server.json").exists()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0
        assert not (running.home / "server.json").exists()


def test_the_root_key_is_shown_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home) as first:
        token = first.token
        assert (home / "root.key").stat().st_mode & 0o777 == 0o600
        assert token in first.log.read_text()
    first.log.write_text("")
    with serving(home) as second:
        assert second.token == token
        assert token not in second.log.read_text()
