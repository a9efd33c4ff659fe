"""What looking inside gives."""

from __future__ import annotations

from msgspec import Struct


class Piece(Struct, frozen=True, omit_defaults=True):
    """One token. text: its part of the text, or its bytes (<0xE2>) where it is less than a letter. token: as the
    vocabulary spells it. special: put around the text, or a mark in it."""

    id: int
    text: str
    token: str
    special: bool = False


class Tokens(Struct, frozen=True):
    """cost: of reading them, in the prices that are configured; None without one."""

    model: str
    revision: str
    pieces: tuple[Piece, ...]
    count: int
    characters: int
    cost: float | None


class Seen(Struct, frozen=True):
    """What heads attend to. layers and heads: of the model. chosen: layer and head of each grid of `weights`, which are
    float32, little-endian: for each grid, for each token a row, how much of each token it takes in; a row sums to 1.
    """

    layers: int
    heads: int
    pieces: tuple[Piece, ...]
    chosen: tuple[tuple[int, int], ...]
    weights: bytes
    picture: bytes = b""


class Attention(Struct, frozen=True):
    model: str
    revision: str
    seen: Seen


class NextToken(Struct, frozen=True):
    id: int
    text: str
    probability: float


class Next(Struct, frozen=True):
    """tokens: the likeliest first. count: tokens of the text."""

    model: str
    revision: str
    count: int
    tokens: tuple[NextToken, ...]
