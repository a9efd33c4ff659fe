"""Blobs of which some are kept as chunks alone: they read like any other, and become files where one must be mapped."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from craton.core.errors import Damaged, NotFound
from craton.hub.xet.recipes import Recipe, contents, find_recipe, recipe_size
from craton.store.blobs import Blobs
from craton.store.database import Database
from craton.store.files import Files


class ChunkedBlobs(Blobs):
    """A file of its own comes first; only what has none is looked for among the recipes."""

    def __init__(
        self, folder: Path, database: Database, files: Files | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(folder, files, clock)
        self._database = database

    def exists(self, digest: str) -> bool:
        return super().exists(digest) or self._recipe_size(digest) is not None

    def is_plain(self, digest: str) -> bool:
        """Whether it has a file of its own."""
        return super().exists(digest)

    def size(self, digest: str) -> int:
        try:
            return super().size(digest)
        except NotFound:
            size = self._recipe_size(digest)
            if size is None:
                raise
            return size

    def read(self, digest: str) -> Iterator[bytes]:
        recipe = None if self.is_plain(digest) else self._recipe(digest)
        return super().read(digest) if recipe is None else self._checked(digest, recipe)

    def span(self, digest: str, start: int, end: int) -> Iterator[bytes]:
        recipe = None if self.is_plain(digest) else self._recipe(digest)
        return super().span(digest, start, end) if recipe is None else contents(self, recipe.parts, start, end)

    def path(self, digest: str) -> Path:
        """Puts the file together first where there is none; from then on it has one until that is collected."""
        recipe = None if self.is_plain(digest) else self._recipe(digest)
        if recipe is not None:
            self.put(contents(self, recipe.parts), expected=digest)
        return super().path(digest)

    def _recipe(self, digest: str) -> Recipe | None:
        with self._database.read() as connection:
            return find_recipe(connection, digest)

    def _recipe_size(self, digest: str) -> int | None:
        with self._database.read() as connection:
            return recipe_size(connection, digest)

    def _checked(self, digest: str, recipe: Recipe) -> Iterator[bytes]:
        hasher = hashlib.sha256()
        for block in contents(self, recipe.parts):
            hasher.update(block)
            yield block
        if hasher.hexdigest() != digest:
            raise Damaged(f"Blob {digest}", "its bytes do not have its SHA-256.")
