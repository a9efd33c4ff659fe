"""How many parameters a model has, by their type: read strictly from the headers of its safetensors files."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping

from craton.core.errors import Damaged, NotFound
from craton.core.repo import TreeEntry
from craton.formats.safetensors import read_safetensors_start
from craton.store.blobs import Blobs

MAX_HEADER = 4 * 1024 * 1024  # bytes of one file's: larger ones would hold others up
MAX_FILES = 500  # of one model
MAX_REMEMBERED = 10_000  # files


class Weights:
    """Blocking, safe in threads. Remembers what it read, by the file's digest."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._lock = threading.Lock()
        self._known: dict[str, Mapping[str, int] | None] = {}

    def parameters(self, files: Iterable[TreeEntry]) -> Mapping[str, int] | None:
        """Type -> number; None when there are no such files, or one of them cannot be counted."""
        found = [file for file in files if file.path.endswith(".safetensors")]
        if not found or len(found) > MAX_FILES:
            return None
        total: Counter[str] = Counter()
        for file in found:
            counts = self._counted(file)
            if counts is None:
                return None
            total.update(counts)
        return dict(total)

    def _counted(self, file: TreeEntry) -> Mapping[str, int] | None:
        with self._lock:
            if file.digest in self._known:
                return self._known[file.digest]
        counts: Counter[str] | None
        try:
            header = read_safetensors_start(self._blobs.read(file.digest), file.size, file.path, MAX_HEADER)
        except (Damaged, NotFound):
            counts = None
        else:
            counts = Counter()
            for tensor in header.tensors:
                counts[tensor.dtype] += tensor.elements
        with self._lock:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[file.digest] = counts
        return counts
