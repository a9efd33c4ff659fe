"""What several tests ask of a running server."""

from __future__ import annotations

import time
from typing import Any

import httpx

Trace = dict[str, Any]
PATIENCE = 20.0  # seconds; rows are written in groups, and the machine may be busy


def trace_of(client: httpx.Client, request_id: str) -> Trace:
    """The trace of a request, once it is written."""
    give_up = time.monotonic() + PATIENCE
    while True:
        reply = client.get(f"/api/craton/v1/requests/{request_id}")
        if reply.status_code == 200:
            return dict(reply.json())
        assert time.monotonic() < give_up, f"the trace of {request_id} never came: {reply.text}"
        time.sleep(0.02)
