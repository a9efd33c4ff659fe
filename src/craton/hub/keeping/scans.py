"""What stored files were found to be: pickles by what they would import, safetensors and GGUF by their headers.

A repository keeps whatever is uploaded; what was found is told beside it, and serving refuses it in any case: pickles
always, weights whose headers are broken when they are loaded. Which revisions have to be looked at is a row, written in
the transaction of their commit; the looking is done later (`scanning`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import Literal

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, insert, select

from craton.core.repo import TreeEntry
from craton.hub.changes import Change, Updated
from craton.hub.keeping.tables import scans, scans_due
from craton.store.database import Database

SCANNER = 1  # raise it when one of the readers learns something: what was found is forgotten
BATCH = 500

Format = Literal["pickle", "safetensors", "gguf"]
Status = Literal["safe", "suspicious", "unsafe", "error", "queued", "unscanned"]
SUFFIXES: dict[str, Format] = {
    **dict.fromkeys((".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill", ".npy", ".npz"), "pickle"),
    ".safetensors": "safetensors",
    ".gguf": "gguf",
}


class Import(Struct, frozen=True):
    """safety: "innocuous", "suspicious" or "dangerous"."""

    module: str
    name: str
    safety: str


class Scan(Struct, frozen=True, omit_defaults=True):
    """error: it cannot be read as what its name says. queued: it will be looked at. unscanned: nobody knows how.

    imports: what a pickle would import; message: what is wrong with it.
    """

    status: Status
    format: Format | None = None
    imports: tuple[Import, ...] = ()
    message: str = ""


QUEUED, UNSCANNED = Scan("queued"), Scan("unscanned")


def format_of(path: str) -> Format | None:
    return SUFFIXES.get(PurePosixPath(path).suffix.lower())


class SecurityScans:
    """Blocking, safe in threads. clock: seconds since the epoch. `hear` is a listener of `Hub`."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    def status(self, files: Iterable[TreeEntry]) -> dict[str, Scan]:
        """Path -> what was found. Whoever asks has asked who may see the files."""
        wanted = {file.path: (file.digest, format_of(file.path)) for file in files}
        with self._database.read() as connection:
            known = find_scans(connection, {digest for digest, format in wanted.values() if format is not None})
        return {
            path: UNSCANNED if format is None else known.get((digest, format), QUEUED)
            for path, (digest, format) in wanted.items()
        }

    def hear(self, connection: Connection, change: Change) -> None:
        """Notes new revisions."""
        if not isinstance(change, Updated):
            return
        for revision in {moved.new for moved in change.refs if moved.new is not None}:
            key = {"tenant": change.place.owner, "repository": change.place.id, "revision": revision}
            mine = [scans_due.c[name] == value for name, value in key.items()]
            if connection.scalar(select(scans_due.c.noted).where(*mine)) is None:
                connection.execute(insert(scans_due).values(**key, noted=self._clock()))


def find_scans(connection: Connection, digests: Iterable[str]) -> dict[tuple[str, str], Scan]:
    """(digest, format) -> what today's scanner found."""
    wanted, found = sorted(digests), {}
    table = scans.c
    for start in range(0, len(wanted), BATCH):
        query = select(table.digest, table.format, table.detail).where(
            table.digest.in_(wanted[start : start + BATCH]), table.scanner == SCANNER
        )
        for row in connection.execute(query):
            found[row.digest, row.format] = msgspec.json.decode(row.detail, type=Scan)
    return found
