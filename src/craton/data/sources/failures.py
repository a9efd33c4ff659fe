"""What goes wrong with a source as a whole, and is neither the caller's mistake nor the platform's."""

from __future__ import annotations

from craton.core.errors import CratonError


class SourceFailed(CratonError):
    """A folder, site, database or API cannot be read now.

    source: as its owner names it (a host, a registered name, a folder's name), never with credentials in it.
    """

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source, self.reason = source, reason

    def __str__(self) -> str:
        return f"{self.source!r} cannot be read: {self.reason}"
