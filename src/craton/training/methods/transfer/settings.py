"""What `model.params` may say."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from craton.core.errors import InvalidRequest
from craton.engines.predictor.nets.architecture import Layers, Share
from craton.training.specification.suggesting import unknown

Rate = Annotated[float, Meta(gt=0)]
Length = Annotated[int, Meta(ge=3, le=100_000)]


class Head(Struct, frozen=True, forbid_unknown_fields=True):
    """hidden, dropout: of the layers on top. encoder_rate: the learning rate of the encoder itself. length: tokens of
    a text, None for what the encoder takes."""

    hidden: Layers = ()
    dropout: Share = 0.1
    encoder_rate: Rate = 2e-5
    length: Length | None = None


class Pairs(Struct, frozen=True, forbid_unknown_fields=True):
    """loss: "mnr" finds the answer of each question among those of its batch, "info-nce" also the other way round.
    scale: of the cosines, the inverse of a temperature."""

    loss: Literal["mnr", "info-nce"] = "mnr"
    scale: Rate = 20.0
    encoder_rate: Rate = 2e-5
    length: Length | None = None


T = TypeVar("T", bound=Struct)


def read_settings(params: dict[str, Any], kind: type[T]) -> T:
    """Raises InvalidRequest."""
    for name in params:
        if name not in kind.__struct_fields__:
            raise InvalidRequest(unknown("parameter", name, kind.__struct_fields__), f"model.params.{name}")
    try:
        return msgspec.convert(params, kind)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error), "model.params") from error
