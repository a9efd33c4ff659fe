"""Errors as the Hub's clients know them: they go by the header X-Error-Code and show X-Error-Message and the body.

Source: huggingface_hub `utils/_http.py`, hf_raise_for_status.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from craton.core import errors
from craton.core.errors import Conflict, CratonError, Gated, InvalidRequest, NotFound, Stale, Throttled, Unauthenticated
from craton.wire.http import Reply, Request, json_reply

MAX_MESSAGE = 500  # characters of it in a header
WRONG_KEY = "Invalid credentials in Authorization header"
"""By these words clients tell a wrong key from a repository that they may not see."""


class Row(NamedTuple):
    """How one class of errors is told. code: what picks the client's exception class, or ""."""

    status: int
    code: str = ""


TABLE: dict[type[CratonError], Row] = {
    errors.InvalidRequest: Row(400),
    errors.Unsupported: Row(400),
    errors.Unauthenticated: Row(401),
    errors.Forbidden: Row(403),
    errors.Gated: Row(403, "GatedRepo"),
    errors.OutgoingRefused: Row(403),
    errors.NotFound: Row(404),
    errors.Conflict: Row(409),
    errors.Stale: Row(412),
    errors.TooLarge: Row(413),
    errors.ContextExceeded: Row(400),
    errors.Throttled: Row(429),
    errors.ModelUnavailable: Row(503),
    errors.ModelFailed: Row(500),
    errors.SourceFailed: Row(502),
    errors.DeadlineExceeded: Row(504),
    errors.Damaged: Row(500),
    errors.StorageFull: Row(507),
    CratonError: Row(500),
}

MISSING = {
    "repository": "RepoNotFound",
    "revision": "RevisionNotFound",
    "branch": "RevisionNotFound",
    "tag": "RevisionNotFound",
    "file": "EntryNotFound",
    "folder": "EntryNotFound",
    "entry": "EntryNotFound",
}
"""What is not there -> its code."""


def write_error(error: CratonError, request: Request) -> Reply:
    """The error's reply. What is absent and what another tenant keeps to itself give the same one."""
    row = next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)
    status, code, message = row.status, row.code, _worded(error, request)
    if isinstance(error, InvalidRequest) and error.field == "path":
        status = 422  # as the Hub says it of a file that cannot be called so
    if isinstance(error, NotFound):
        code = MISSING.get(error.kind, "")
    elif isinstance(error, Unauthenticated) and error.code == "missing" and "name" in request.params:
        code = "RepoNotFound"  # whether there is one or not: without a key nobody is told
    headers = {**identified(request), "x-error-message": _header(message)}
    if code:
        headers["x-error-code"] = code
    if isinstance(error, Throttled):
        headers["retry-after"] = str(math.ceil(error.retry_after))
    if request.method == "HEAD":
        return Reply(status, b"", headers)
    return json_reply(status, {"error": message}, headers)


def _worded(error: CratonError, request: Request) -> str:
    """The sentence; where scripts look for the Hub's own words, those."""
    if isinstance(error, Unauthenticated) and error.code != "missing":
        return WRONG_KEY
    if isinstance(error, Gated):
        places = request.path.split("/", 3)[1:3]
        kind = "dataset" if "datasets" in places else "space" if "spaces" in places else "model"
        why = str(error).partition(": ")[2]
        return f"Access to {kind} {error.repo} is restricted and you are not in the authorized list: {why}"
    if isinstance(error, Stale):
        return "The branch was updated since you opened this page. Please refresh and try again."
    if isinstance(error, NotFound) and error.kind == "repository":
        return f"Repository not found. {error.hint}" if error.hint else "Repository not found"
    if isinstance(error, NotFound) and error.kind == "branch":
        return f"Invalid rev id: refs/heads/{error.name}"
    if isinstance(error, Conflict):
        if error.kind in {"branch", "tag"}:
            return f"Reference refs/{'heads' if error.kind == 'branch' else 'tags'}/{error.name} already exists"
        if error.kind.endswith("repository"):
            return f"A {error.kind} called {error.name} already exists"
    return str(error)


def identified(request: Request) -> dict[str, str]:
    """The header by which a client reports what went wrong."""
    return {"x-request-id": request.request_id}


def _header(message: str) -> str:
    """As a header's value: one line of ASCII."""
    line = " ".join(message.split())[:MAX_MESSAGE]
    return "".join(it if it.isprintable() else "?" for it in line).encode("ascii", "replace").decode()
