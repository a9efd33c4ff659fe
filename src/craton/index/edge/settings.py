"""What an operator may turn, with defaults that were measured on two cores (`docs/decisions.md`)."""

from __future__ import annotations

from msgspec import Struct


class EdgeSettings(Struct, frozen=True):
    """open_shards: at most so many indexes are held open. optimise_after: an index is optimised by itself when so many
    points were written since the last time (and more than half of what it held then), once no write came for
    quiet_seconds, or when it has doubled. flush_after: points written until they are forced to the disk, which
    otherwise happens when writes pause. hang_seconds: the process is killed when it says nothing for so long (opening a
    million points takes some). start_seconds: the most that starting it may take. ef: how widely the graph is searched.
    free_bytes: below that much room on the disk, writes are refused.
    """

    open_shards: int = 16
    optimise_after: int = 20_000
    quiet_seconds: float = 2.0
    flush_after: int = 50_000
    hang_seconds: float = 180.0
    start_seconds: float = 60.0
    ef: int = 128
    ef_construct: int = 128
    free_bytes: int = 256 * 1024 * 1024
