"""A pytest plugin for the suite's own process: how each test ended, and whether it spoke to the server.

Loaded by name from the suite's folder, so it imports nothing of Craton.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

SERVER = httpx.URL(os.environ["HF_ENDPOINT"])
_spoken: list[str] = []
_elsewhere: set[str] = set()


def _watch(transport: Any, name: str) -> None:
    plain = getattr(transport, name)

    def handle(self: Any, request: httpx.Request) -> Any:
        if request.url.netloc == SERVER.netloc:
            _spoken.append(request.url.path)
        else:
            _elsewhere.add(request.url.host)
        return plain(self, request)

    setattr(transport, name, handle)


_watch(httpx.HTTPTransport, "handle_request")
_watch(httpx.AsyncHTTPTransport, "handle_async_request")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    _spoken.clear()
    _elsewhere.clear()
    yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.when == "call" or report.outcome != "passed":
        crash = getattr(report.longrepr, "reprcrash", None)  # its message names no path of this machine
        lines = str(crash.message if crash else "").strip().splitlines()
        line = {
            "test": item.nodeid,
            "when": report.when,
            "outcome": report.outcome,
            "requests": len(_spoken),
            "elsewhere": sorted(_elsewhere),
            "why": lines[0][:200] if lines else "",
        }
        with open(os.environ["CRATON_SUITE_REPORT"], "a") as file:
            file.write(json.dumps(line) + "\n")
