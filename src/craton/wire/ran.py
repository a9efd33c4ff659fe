"""Which model really ran: every dialect says it in a header of its replies."""

from __future__ import annotations

from typing import Protocol

from craton.core.access import Caller
from craton.core.errors import NotFound
from craton.core.model import ModelInfo

RAN = "x-craton-model"


class Names(Protocol):
    """The part of `Serving` that knows names."""

    async def model(self, caller: Caller, name: str) -> ModelInfo: ...


async def ran(names: Names, caller: Caller, name: str) -> str:
    """The id of the model that `name` means; `name` when it means none, which running it will refuse (and record)."""
    try:
        return (await names.model(caller, name)).id
    except NotFound:
        return name
