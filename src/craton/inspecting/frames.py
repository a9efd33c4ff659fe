"""What the inspector asks of its children, and what they answer."""

from __future__ import annotations

from msgspec import Struct

from craton.children.frames import Frame, WireError
from craton.inspecting.values import Piece, Seen


class Source(Struct, frozen=True):
    """A model's files, name in the repository -> local path. model: the name that errors tell. overlay: those of an
    adapter over it."""

    model: str
    files: dict[str, str]
    overlay: dict[str, str] = {}


class Cut(Struct, frozen=True, tag="cut"):
    """Gives Pieces."""

    source: Source
    text: str
    cpu_seconds: float


class Look(Struct, frozen=True, tag="look"):
    """Gives Seen. layer, head: None for all. picture: draw one too. megabytes: the child may take."""

    source: Source
    text: str
    layer: int | None
    head: int | None
    picture: bool
    megabytes: int
    cpu_seconds: float


class Started(Frame, frozen=True, tag="started"):
    pass


class Pieces(Frame, frozen=True, tag="pieces"):
    pieces: tuple[Piece, ...]


class Looked(Frame, frozen=True, tag="looked"):
    seen: Seen


class Failed(Frame, frozen=True, tag="failed"):
    error: WireError


Order = Cut | Look
ChildFrame = Started | Pieces | Looked | Failed
