"""Addresses that go into answers."""

from __future__ import annotations

import re

from craton.core.repo import RepoId
from craton.wire.http import Request
from craton.wire.huggingface.naming import PLURALS

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")


def base_url(request: Request) -> str:
    """Where the client reached this server: as its Host header says, and a proxy before it (X-Forwarded-Proto)."""
    host = request.headers.get("host", "")
    scheme = "https" if request.headers.get("x-forwarded-proto", "").lower() == "https" else "http"
    return f"{scheme}://{host if _HOST.fullmatch(host) else 'localhost'}"


def repo_url(request: Request, repo: RepoId) -> str:
    """The repository's page, by which clients know its id and type."""
    prefix = "" if repo.kind == "model" else f"{PLURALS[repo.kind]}/"
    return f"{base_url(request)}/{prefix}{repo.path}"


def next_link(request: Request, query: str, path: str | None = None) -> dict[str, str]:
    """The header that leads to the next page of a list. path: raw; that of the request by default."""
    return {"link": f'<{base_url(request)}{path or request.path}?{query}>; rel="next"'}
