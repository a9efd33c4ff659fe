"""Looks at the files of new revisions, one file at a time, each in a process of its own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from sqlalchemy import Row, delete, insert, select

from craton.children.process import clean_environment
from craton.core.errors import CratonError, Damaged, NotFound
from craton.core.repo import TreeEntry
from craton.hub import rows
from craton.hub.comparing import compare
from craton.hub.keeping.scans import SCANNER, Format, Scan, find_scans, format_of
from craton.hub.keeping.tables import scans, scans_due
from craton.hub.walking import walk
from craton.store.blobs import Blobs
from craton.store.database import Database

PATIENCE = 300.0  # seconds for one file
MEMORY = 1024 * 1024 * 1024

log = logging.getLogger(__name__)


class Scanner:
    """Blocking. clock: seconds since the epoch. memory: bytes that looking at one file may take."""

    def __init__(
        self, database: Database, blobs: Blobs, clock: Callable[[], float] = time.time, memory: int = MEMORY
    ) -> None:
        self._database, self._blobs, self._clock, self._memory = database, blobs, clock, memory

    def work(self, stopping: Callable[[], bool] = lambda: False) -> int:
        """Looks at everything that is due; how many files that were. May be killed, and begun again."""
        count = 0
        while not stopping():
            with self._database.read() as connection:
                due = connection.execute(select(scans_due).order_by(scans_due.c.noted).limit(1)).one_or_none()
            if due is None:
                break
            for file in self._files(due):
                if stopping():
                    return count
                count += self._look(file)
            key = [scans_due.c[name] == getattr(due, name) for name in ("tenant", "repository", "revision")]
            with self._database.write() as connection:
                connection.execute(delete(scans_due).where(*key))
        return count

    def scan(self, path: Path, format: Format) -> Scan:
        """What the file is, found out in a process that may die of it."""
        command = [sys.executable, "-s", "-P", "-m", "craton.hub.keeping.scan_child"]
        try:
            done = subprocess.run(
                [*command, str(os.getpid()), str(self._memory), format, str(path)],
                env=clean_environment(os.environ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PATIENCE,
                check=False,
            )
            return msgspec.json.decode(done.stdout, type=Scan)
        except (subprocess.TimeoutExpired, msgspec.DecodeError, msgspec.ValidationError):
            return Scan("error", format, message="looking at it took too long, or more than is allowed")

    def _files(self, due: Row[tuple[object, ...]]) -> Iterator[TreeEntry]:
        """Those that the revision changed; all when it has no parent, or nobody looked at its repository before."""
        try:
            with self._database.read() as connection:
                fetch = rows.fetcher(connection, due.tenant, due.repository)
                found = rows.chain(connection, due.tenant, due.repository, due.revision)
                first = next(found, None)
                second = next(found, None) if first is not None and due.noted else None
                if first is None:
                    return
                entries: list[TreeEntry] = []
                if second is None:
                    every = walk(first[1], fetch, recursive=True)
                    entries = [it for it in every if isinstance(it, TreeEntry) and format_of(it.path) is not None]
                else:
                    for change in compare(second[1], first[1], fetch):
                        if change.after is not None and format_of(change.path) is not None:
                            entries.append(change.after)
        except NotFound:
            return
        yield from entries

    def _look(self, file: TreeEntry) -> bool:
        format = format_of(file.path)
        assert format is not None
        with self._database.read() as connection:
            if (file.digest, format) in find_scans(connection, [file.digest]):
                return False
        try:
            scan = self.scan(self._blobs.path(file.digest), format)
        except NotFound:  # a mirrored file that nobody fetched yet, or one that is lost
            return False
        except Damaged as error:
            scan = Scan("error", format, message=error.reason)
        except CratonError as error:
            log.warning("blob %s was not scanned: %s", file.digest, error)
            return False
        key = (scans.c.digest == file.digest) & (scans.c.format == format)
        detail = msgspec.json.encode(scan).decode()
        with self._database.write() as connection:
            connection.execute(delete(scans).where(key))
            connection.execute(
                insert(scans).values(
                    digest=file.digest,
                    format=format,
                    scanner=SCANNER,
                    status=scan.status,
                    detail=detail,
                    scanned=self._clock(),
                )
            )
        return True
