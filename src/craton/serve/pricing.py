"""What a request costs, by the operator's own price list. A model without a price has no cost: none is invented."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from craton.core.events import Usage


class Price(Struct, frozen=True, forbid_unknown_fields=True):
    """Per million tokens, in whatever currency the operator counts."""

    input: Annotated[float, Meta(ge=0)]
    output: Annotated[float, Meta(ge=0)]


class Prices:
    """by_model: model id -> price."""

    def __init__(self, by_model: Mapping[str, Price]) -> None:
        self._by_model = by_model

    def cost(self, model: str, usage: Usage | None) -> float | None:
        price = self._by_model.get(model)
        if price is None or usage is None:
            return None
        return (usage.input * price.input + usage.output * price.output) / 1_000_000
