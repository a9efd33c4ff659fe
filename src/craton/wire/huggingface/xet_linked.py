"""How a file can be had as chunks: clients refuse plain HTTP for very large files, and take this way where told so."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from craton.core.repo import TreeEntry
from craton.hub.reaching import Reached
from craton.hub.xet.reading import Reading
from craton.wire.http import Request
from craton.wire.huggingface.links import base_url
from craton.wire.huggingface.naming import api_path


class XetLinked:
    """above: bytes of a file from which on it is told; below, plain HTTP costs clients one request instead of three."""

    def __init__(self, reading: Reading, above: int) -> None:
        self._reading, self._above = reading, above

    def __call__(self, request: Request, reached: Reached, commit: str, entry: TreeEntry) -> Mapping[str, str]:
        """The headers; none for a file that did not come as chunks. Blocks."""
        if not entry.large or entry.size < self._above:
            return {}
        found = self._reading.hash_of(reached.owner, entry.digest)
        if found is None:
            return {}
        route = f"{base_url(request)}{api_path(reached.repo)}/xet-read-token/{quote(commit, safe='')}"
        return {"x-xet-hash": found, "x-xet-refresh-route": route}
