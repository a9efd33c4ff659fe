"""Craton's own route to quantising: an order in, a job out. How it goes on is asked of the jobs' routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from craton.conversion.orders import QuantiseOrder
from craton.core.access import Action
from craton.core.errors import InvalidRequest
from craton.core.job import Job
from craton.wire.http import Reply, Request, Route, decode_json, json_reply
from craton.wire.openai.errors import write_error

PATH = "/api/craton/v1/quantisations"
MAX_BODY = 8 << 20

Submit = Callable[[str, QuantiseOrder], Awaitable[Job]]
"""(tenant, order) -> its job. Raises NotFound, Unsupported, InvalidRequest."""


class ModelsDialect:
    """Errors are written as those of the other own routes."""

    name = "craton"

    def __init__(self, submit: Submit) -> None:
        self._submit = submit

    def routes(self) -> list[Route]:
        return [
            Route(
                "POST", PATH, self.name, "QuantiseModel", self._quantise, write_error, Action.WRITE, max_body=MAX_BODY
            )
        ]

    async def _quantise(self, request: Request) -> Reply:
        try:
            order = msgspec.convert(decode_json(request.body), QuantiseOrder)
        except msgspec.ValidationError as error:
            raise InvalidRequest(str(error)[:200], "body") from None
        job = await self._submit(request.authenticated.tenant, order)
        return json_reply(202, job)
