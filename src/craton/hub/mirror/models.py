"""`hf:` models by way of a mirror: what it fetches it keeps, so the next pull of anybody comes from here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

from msgspec.structs import replace

from craton.core.errors import TooLarge
from craton.core.repo import TreeEntry
from craton.hub.huggingface import MAX_BYTES, RemoteModel, choose
from craton.hub.importing import Imported, Importer, Incoming, Progress, quiet
from craton.hub.mirror.mirror import Mirror
from craton.hub.repositories import Hub


async def pull(
    mirror: Mirror, hub: Hub, importer: Importer, model: RemoteModel, progress: Progress = quiet
) -> Imported:
    """Raises what `Mirror.locate` and `Importer.put` raise; InvalidRequest when the choice of files is not clear."""
    name = f"hf:{model.repo.path}"
    place = await mirror.locate(importer.tenant, "model", model.repo.path, model.revision)
    files = await asyncio.to_thread(hub.tree, place.owner, place.repo, place.commit)
    taken, skipped = choose(files, model.wanted, name)
    total = sum(file.size for file in taken)
    if total > MAX_BYTES:
        raise TooLarge(name, MAX_BYTES, total)
    await mirror.fetch(place, taken)
    incoming = [_incoming(hub, file) for file in taken]
    message = f"Import {place.repo.path} at {place.commit}"
    card = {"base_model": place.repo.path}
    imported = await asyncio.to_thread(importer.put, place.repo, incoming, message, card, progress)
    return replace(imported, skipped=tuple(skipped))


def _incoming(hub: Hub, file: TreeEntry) -> Incoming:
    def chunks(digest: str) -> Iterator[bytes]:
        return hub.blobs.read(digest)

    return Incoming(file.path, file.size, partial(chunks, file.digest), file.digest)
