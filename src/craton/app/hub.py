"""The hub of a running server: its routes, and what stands behind them."""

from __future__ import annotations

from craton.app.platform import Platform
from craton.hub.reaching import Reaching
from craton.wire.huggingface.dialect import HuggingFaceDialect, Part


class RunningHub:
    """Built once. `dialect` is what the server mounts."""

    def __init__(self, platform: Platform) -> None:
        self.reaching = Reaching(platform.database)
        self.dialect = HuggingFaceDialect(self._parts(platform))

    def _parts(self, platform: Platform) -> list[Part]:
        """Each is about one noun."""
        return []
