"""The viewer on a host of its own: clients write http://datasets-server.HOST/rows for the Hub at http://HOST."""

from __future__ import annotations

from craton.wire.http import Request, Route, Table

LABEL = "datasets-server."


class ViewerHost:
    """viewer: what is asked at that host; default: everything else."""

    def __init__(self, default: Table, viewer: Table) -> None:
        self._default, self._viewer = default, viewer

    @property
    def routes(self) -> list[Route]:
        return [*self._default.routes, *self._viewer.routes]

    def find(self, request: Request) -> Route | None:
        hosted = request.headers.get("host", "").lower().startswith(LABEL)
        return (self._viewer if hosted else self._default).find(request)
