"""All splits of a revision at once: those that are ready, those still being made ready, and those that cannot be."""

from __future__ import annotations

from msgspec import Struct

from craton.core.errors import CratonError, Damaged, NotFound, Throttled, TooLarge, Unsupported
from craton.data.viewing.copies import PATIENCE
from craton.data.viewing.viewer import Opened, Place, Viewer


class Failure(Struct, frozen=True):
    config: str
    split: str
    error: CratonError


class Taken(Struct, frozen=True):
    """pending: (config, split)."""

    opened: tuple[Opened, ...]
    pending: tuple[tuple[str, str], ...]
    failed: tuple[Failure, ...]


async def take(viewer: Viewer, place: Place, config: str = "", split: str = "") -> Taken:
    """config, split: only those; "" for all. Waits for one that is not ready, then takes what is there.

    Raises NotFound for names that are not there, and what failed when all of it did.
    """
    opened: list[Opened] = []
    pending: list[tuple[str, str]] = []
    failed: list[Failure] = []
    for one in await viewer.configs(place):
        for each in one.splits:
            if config not in {"", one.name} or split not in {"", each.name}:
                continue
            try:
                opened.append(await viewer.open(place, one.name, each.name, 0.0 if pending else PATIENCE))
            except Throttled:
                pending.append((one.name, each.name))
            except (Damaged, TooLarge, Unsupported) as error:
                failed.append(Failure(one.name, each.name, error))
    if failed and not opened and not pending:
        raise failed[0].error
    if not opened and not pending:
        raise NotFound("split" if split else "configuration", split or config)
    return Taken(tuple(opened), tuple(pending), tuple(failed))
