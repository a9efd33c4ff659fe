"""What one document may take."""

from __future__ import annotations

from msgspec import Struct


class ParseLimits(Struct, frozen=True):
    """Of one document: processor seconds, wall-clock seconds, megabytes beyond what the parser's process itself takes,
    characters of its text; bytes of a file that is held in memory whole while it is read (markup, JSON, mail);
    of an archive (Office files): members, bytes when unpacked, and how many times its size a large member may be.
    Of the pool: documents until a child is replaced.
    """

    cpu_seconds: float = 120.0
    wall_seconds: float = 300.0
    megabytes: int = 1024
    characters: int = 20_000_000
    whole_bytes: int = 32 << 20
    members: int = 10_000
    unpacked_bytes: int = 512 << 20
    ratio: int = 300
    documents_per_child: int = 500
