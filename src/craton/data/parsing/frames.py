"""What the pool and its children say to each other. Length-prefixed msgpack, as between server and worker.

A document's text comes in parts, for it may be larger than a frame.
"""

from __future__ import annotations

from msgspec import Struct

from craton.children.frames import Frame, WireError
from craton.data.documents import Block
from craton.data.parsing.limits import ParseLimits


class Read(Struct, frozen=True, tag="read"):
    path: str
    name: str
    media_type: str
    limits: ParseLimits


class Started(Frame, frozen=True, tag="started"):
    """The child waits for documents."""


class Part(Frame, frozen=True, tag="part"):
    """More of the text, and the blocks that begin in it."""

    text: str
    blocks: tuple[Block, ...]


class Done(Frame, frozen=True, tag="done"):
    media_type: str
    title: str
    notes: tuple[str, ...]


class Failed(Frame, frozen=True, tag="failed"):
    error: WireError


ChildFrame = Started | Part | Done | Failed
