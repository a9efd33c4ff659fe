"""What differs between two revisions is found, whatever it is, and what is shared is not read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from craton.core.repo import TreeEntry
from craton.hub.comparing import compare
from craton.hub.editing import Editor

NAMES = st.sampled_from(["a", "b", "c", "d"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
FILES = st.dictionaries(PATHS, st.integers(0, 3), max_size=8)


class Store:
    """Objects by digest; reads: how many were asked for."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.reads = 0

    def fetch(self, digests: Iterable[str]) -> Mapping[str, bytes]:
        wanted = list(digests)
        self.reads += len(wanted)
        return {digest: self.objects[digest] for digest in wanted}

    def tree(self, files: Mapping[str, int], root: str | None = None) -> str:
        editor = Editor(root, self.fetch)
        for path, content in files.items():
            editor.put(entry(path, content))
        tree = editor.tree()
        self.objects.update(tree.objects)
        return tree.root


def entry(path: str, content: int) -> TreeEntry:
    return TreeEntry(path, f"{content:064x}", content, f"{content:040x}")


def without_clashes(files: Mapping[str, int]) -> dict[str, int]:
    """No path is a file and a folder."""
    return {path: it for path, it in files.items() if not any(other.startswith(f"{path}/") for other in files)}


@given(before=FILES.map(without_clashes), after=FILES.map(without_clashes))
def test_what_differs_is_found(before: dict[str, int], after: dict[str, int]) -> None:
    store = Store()
    found = {it.path: it for it in compare(store.tree(before), store.tree(after), store.fetch)}
    assert found.keys() == {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    for path, change in found.items():
        assert change.before == (entry(path, before[path]) if path in before else None)
        assert change.after == (entry(path, after[path]) if path in after else None)


def test_one_file_among_many_takes_a_few_reads() -> None:
    store = Store()
    root = store.tree({f"folder-{number % 20}/file-{number}": 1 for number in range(20_000)})
    changed = store.tree({"folder-7/file-27": 2}, root)
    store.reads = 0
    started = time.process_time()
    assert [it.path for it in compare(root, changed, store.fetch)] == ["folder-7/file-27"]
    assert store.reads <= 8
    assert time.process_time() - started < 0.1
