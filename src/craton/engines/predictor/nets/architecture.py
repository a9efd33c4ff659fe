"""A network in a few numbers: what is written beside its weights, and what a specification's `params` may say."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from craton.core.predicting import Field

Size = Annotated[int, Meta(ge=1, le=65536)]
Depth = Annotated[int, Meta(ge=1, le=64)]
Share = Annotated[float, Meta(ge=0, lt=1)]
Layers = Annotated[tuple[Size, ...], Meta(max_length=64)]


class Architecture(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """dropout: the share of the values that are left out while training (Srivastava et al., 2014)."""

    dropout: Share = 0.1


class Mlp(Architecture, frozen=True, tag="mlp"):
    """hidden: the size of each layer."""

    hidden: Layers = (128, 64)


class Cnn(Architecture, frozen=True, tag="cnn"):
    """channels: of each stage; a stage is two convolutions, then a halving."""

    channels: Layers = (32, 64)


class Reading(Architecture, frozen=True):
    """What the sequence networks share. tokens: what a text is cut into. vocabulary: so many different ones, the most
    frequent of the training rows. length: of a sequence; the rest is cut off."""

    tokens: Literal["words", "characters"] = "words"
    vocabulary: Annotated[int, Meta(ge=4, le=1_000_000)] = 20_000
    length: Annotated[int, Meta(ge=1, le=100_000)] = 256


class Rnn(Reading, frozen=True, tag="rnn"):
    """size: of the state in each direction."""

    cell: Literal["gru", "lstm"] = "gru"
    size: Size = 64
    layers: Depth = 1
    bidirectional: bool = True


class Transformer(Reading, frozen=True, tag="transformer"):
    """size: of a token's state, a multiple of heads."""

    size: Size = 64
    heads: Depth = 4
    layers: Depth = 2


AnyArchitecture = Mlp | Cnn | Rnn | Transformer


class Shape(Struct, frozen=True, forbid_unknown_fields=True):
    """What goes in and comes out. inputs: the shape of one row's tensor (columns; channels, height, width; steps,
    values). tokens: how many there are, 0 for rows of numbers. outputs: classes, or 1 for a number."""

    inputs: tuple[int, ...]
    outputs: int
    tokens: int = 0


class Network(Struct, frozen=True, forbid_unknown_fields=True):
    """architecture.json."""

    architecture: AnyArchitecture
    shape: Shape
    vocabulary: tuple[str, ...] = ()


def text_field(fields: tuple[Field, ...]) -> Field | None:
    """The one column of text, where there is nothing else."""
    return fields[0] if len(fields) == 1 and fields[0].kind == "text" and not fields[0].embedder else None


def architecture(use: str, params: dict[str, object]) -> AnyArchitecture:
    """From a specification. Raises msgspec.ValidationError."""
    found: AnyArchitecture = msgspec.convert({**params, "kind": use}, AnyArchitecture)
    return found


KINDS: dict[str, type[Architecture]] = {"mlp": Mlp, "cnn": Cnn, "rnn": Rnn, "transformer": Transformer}
