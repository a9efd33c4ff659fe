"""Blobs of which some are kept as chunks alone: they read like any other, and become files where one must be mapped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from craton.core.errors import Damaged, NotFound
from craton.hub.xet.recipes import Recipe, contents, find_recipe, recipe_size
from craton.store.blobs import Blob, Blobs
from craton.store.database import Database


class ChunkedBlobs:
    """Itself a store of blobs. What the plain store has comes first; the rest is looked for among the recipes."""

    def __init__(self, plain: Blobs, database: Database) -> None:
        self.plain, self._database = plain, database

    def put(self, chunks: Iterable[bytes], *, expected: str | None = None) -> Blob:
        return self.plain.put(chunks, expected=expected)

    def put_file(self, path: Path) -> Blob:
        return self.plain.put_file(path)

    def read(self, digest: str) -> Iterator[bytes]:
        recipe = self._recipe(digest)
        return self.plain.read(digest) if recipe is None else self._checked(digest, recipe)

    def span(self, digest: str, start: int, end: int) -> Iterator[bytes]:
        recipe = self._recipe(digest)
        return self.plain.span(digest, start, end) if recipe is None else contents(self.plain, recipe.parts, start, end)

    def path(self, digest: str) -> Path:
        """Puts the file together first where there is none; from then on it has one, until that is collected."""
        recipe = self._recipe(digest)
        if recipe is not None:
            self.plain.put(contents(self.plain, recipe.parts), expected=digest)
        return self.plain.path(digest)

    def at_hand(self, digest: str) -> Path | None:
        return self.plain.at_hand(digest)

    def exists(self, digest: str, *, fresh: bool = False) -> bool:
        return self.plain.exists(digest, fresh=fresh) or self._size(digest) is not None

    def size(self, digest: str) -> int:
        try:
            return self.plain.size(digest)
        except NotFound:
            size = self._size(digest)
            if size is None:
                raise
            return size

    def _recipe(self, digest: str) -> Recipe | None:
        """None when the plain store has it, or nobody."""
        if self.plain.exists(digest):
            return None
        with self._database.read() as connection:
            return find_recipe(connection, digest)

    def _size(self, digest: str) -> int | None:
        with self._database.read() as connection:
            return recipe_size(connection, digest)

    def _checked(self, digest: str, recipe: Recipe) -> Iterator[bytes]:
        hasher = hashlib.sha256()
        for block in contents(self.plain, recipe.parts):
            hasher.update(block)
            yield block
        if hasher.hexdigest() != digest:
            raise Damaged(f"Blob {digest}", "its bytes do not have its SHA-256.")
