"""What a checker and its child say to each other. Length-prefixed msgpack, as between server and worker."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Kind = Literal["schema", "grammar", "regex", "template"]


class Check(Struct, frozen=True, tag="check"):
    """text: the schema's JSON, the grammar, the expression or the template. cpu_seconds: then the child dies."""

    kind: Kind
    text: str
    cpu_seconds: float


class Started(Struct, frozen=True, tag="started"):
    """The child has loaded its compilers."""


class Verdict(Struct, frozen=True, tag="verdict"):
    """reason: what is wrong, in words for the caller; "" for nothing."""

    reason: str


ChildFrame = Started | Verdict
