"""Files that shards describe: proven from the rows first, then put together, hashed and stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, insert, select, update

from craton.core.errors import Damaged, InvalidRequest
from craton.formats.xet.hashes import Tree, file_hash, range_hash, to_text
from craton.formats.xet.shards import File, read_files
from craton.hub.files import stored_files
from craton.hub.xet import segments
from craton.hub.xet.chunks import note_chunks
from craton.hub.xet.keepers import Keeper
from craton.hub.xet.recipes import parts_of
from craton.hub.xet.tables import files, uses, xorbs
from craton.hub.xet.xorbs import BATCH, StoredXorb, find_xorbs
from craton.store.blobs import Blobs
from craton.store.database import Database

NAME = "the shard"


class XetFiles:
    """Blocking, safe in threads."""

    def __init__(self, database: Database, blobs: Blobs, clock: Callable[[], float]) -> None:
        self._database, self._blobs, self._clock = database, blobs, clock

    def register(self, tenant: str, shard: bytes, keeper: Keeper) -> int:
        """Stores every file that the shard describes; returns how many there are. Doing it again is harmless.

        They are the sender's, also when a pull request to somebody else's repository brings them: nobody gets at an
        owner's bytes by naming them, and its commit lends the owner what the sender has.
        Raises InvalidRequest for a broken shard, one that names chunks the tenant has not uploaded, and hashes that do
        not fit. Files that came before the wrong one stay stored: each was proven by itself.
        """
        count = 0
        try:
            for file in read_files(shard, NAME):
                self._register(tenant, file, keeper)
                count += 1
        except Damaged as error:
            raise InvalidRequest(str(error)) from error
        return count

    def _register(self, tenant: str, file: File, keeper: Keeper) -> None:
        found = self._look_up(tenant, file)
        first = _prove(file, found)
        digest = None if file.sha256 is None else to_text(file.sha256)
        if self._is_known(tenant, file, digest):
            return
        parts = [part for segment in file.segments for part in parts_of(segment, found[segment.xorb])]
        stored = keeper.keep(tenant, parts, file.size, digest)
        with self._database.write() as connection:
            self._note(connection, tenant, file, stored.digest, first)

    def _look_up(self, tenant: str, file: File) -> dict[bytes, StoredXorb]:
        """The file's xorbs, marked as used: from here on nobody collects them."""
        wanted = {segment.xorb for segment in file.segments}
        with self._database.write() as connection:
            names = [to_text(hash) for hash in wanted]
            for start in range(0, len(names), BATCH):
                mine = (xorbs.c.tenant == tenant) & xorbs.c.hash.in_(names[start : start + BATCH])
                connection.execute(update(xorbs).where(mine).values(used=self._clock()))
            found = find_xorbs(connection, tenant, wanted)
        if len(found) < len(wanted) or not all(self._blobs.exists(xorb.digest) for xorb in found.values()):
            raise Damaged(NAME, "a file in it is made of chunks that were not uploaded")
        return found

    def _is_known(self, tenant: str, file: File, digest: str | None) -> bool:
        with self._database.read() as connection:
            mine = (files.c.tenant == tenant) & (files.c.hash == to_text(file.hash))
            known = connection.scalar(select(files.c.digest).where(mine))
            if known is None:
                return False
            if digest is not None and digest != known:
                raise Damaged(NAME, "a file in it does not have the sha256 that it names")
            return known in stored_files(connection, tenant, [known]) and self._blobs.exists(known)

    def _note(self, connection: Connection, tenant: str, file: File, digest: str, first: bytes | None) -> None:
        hash = to_text(file.hash)
        mine = (files.c.tenant == tenant) & (files.c.hash == hash)
        if connection.scalar(select(files.c.hash).where(mine)) is not None:
            return  # the same shard came twice at once
        packed = segments.pack(file.segments)
        row = {"tenant": tenant, "hash": hash, "digest": digest, "size": file.size, "segments": packed}
        connection.execute(insert(files).values(row))
        used = [{"tenant": tenant, "xorb": to_text(it), "file": hash} for it in {it.xorb for it in file.segments}]
        if used:
            connection.execute(insert(uses), used)
        if first is not None:
            note_chunks(connection, tenant, to_text(file.segments[0].xorb), [first])


def _prove(file: File, found: Mapping[bytes, StoredXorb]) -> bytes | None:
    """Holds the file's hashes against those of the chunks, which were all computed here. Returns its first chunk's.

    Raises Damaged.
    """
    if len(file.ranges) != len(file.segments):
        raise Damaged(NAME, "a file in it comes without the hashes that prove its ranges")
    tree, first = Tree(), None
    for segment, proof in zip(file.segments, file.ranges, strict=True):
        layout = found[segment.xorb].layout
        if segment.end > len(layout):
            raise Damaged(NAME, "a file in it is made of chunks that were not uploaded")
        seen = list(layout.chunks(segment.start, segment.end))
        if sum(chunk.length for chunk in seen) != segment.length:
            raise Damaged(NAME, "a segment of a file does not have the length that it names")
        if range_hash(chunk.hash for chunk in seen) != proof:
            raise Damaged(NAME, "a segment of a file does not have the hash that it names")
        for chunk in seen:
            tree.add(chunk.hash, chunk.length)
        first = first or seen[0].hash
    if file_hash(tree) != file.hash:
        raise Damaged(NAME, "a file in it does not have the hash that it names")
    return first
