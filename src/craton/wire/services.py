"""Chooses the table of routes by the service that a request is signed for, before its path is looked at.

A bucket may be called "api" or "v1": S3's paths are told from all others by the signature alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from craton.wire.aws.sigv4 import claimed_service, is_signed
from craton.wire.http import Request, Route, Table


class ServiceRouter:
    """services: by the name in the signature's scope. default: for everything else, signed or not."""

    def __init__(self, default: Table, services: Mapping[str, Table]) -> None:
        self._default, self._services = default, services

    @property
    def routes(self) -> list[Route]:
        """All of them."""
        return [*self._default.routes, *(route for table in self._services.values() for route in table.routes)]

    def find(self, request: Request) -> Route | None:
        """The route of this request, with `request.params` filled, or None."""
        table = self._services.get(claimed_service(request)) if is_signed(request) else None
        return (table or self._default).find(request)
