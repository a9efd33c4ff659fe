"""Trees that are changed and listed in parts are what they would be whole."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from craton.core.errors import InvalidRequest
from craton.core.repo import TreeEntry, TreeFolder
from craton.hub import trees
from craton.hub.editing import Editor
from craton.hub.walking import walk


class Stored:
    """Objects in a dict, and how many were asked for."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.fetched = 0

    def fetch(self, digests: Iterable[str]) -> Mapping[str, bytes]:
        found = {digest: self.objects[digest] for digest in digests}
        self.fetched += len(found)
        return found

    def grow(self, root: str | None, added: Iterable[str], removed: Iterable[str] = ()) -> trees.Tree:
        editor = Editor(root, self.fetch)
        for path in removed:
            editor.remove(path)
        for path in added:
            editor.put(entry(path))
        tree = editor.tree()
        self.objects.update(tree.objects)
        return tree


def entry(path: str) -> TreeEntry:
    return TreeEntry(
        path, hashlib.sha256(path.encode()).hexdigest(), len(path), hashlib.sha1(path.encode()).hexdigest()
    )


_paths = st.lists(st.sampled_from(["a", "b", "ab", "a/x", "a/y", "a/b/x", "b-c", "b/c", "ü/z", "a.b/x"]), unique=True)


def clashing(paths: Iterable[str]) -> bool:
    known = set(paths)
    return any("/".join(path.split("/")[:depth]) in known for path in known for depth in range(1, path.count("/") + 1))


@settings(max_examples=200, deadline=None)
@given(first=_paths, then=_paths)
def test_a_tree_changed_in_two_steps_is_the_tree_made_in_one(first: list[str], then: list[str]) -> None:
    stored = Stored()
    if clashing(first):
        with pytest.raises(InvalidRequest):
            stored.grow(None, first)
        return
    root = stored.grow(None, first).root
    gone = [path for path in first if path not in then]
    if clashing(then):
        with pytest.raises(InvalidRequest):
            stored.grow(root, then, gone)
        return
    grown, whole = stored.grow(root, then, gone), Stored().grow(None, then)
    assert (grown.root, grown.oid) == (whole.root, whole.oid)
    assert set(trees.load(grown.root, stored.fetch)) == set(then)


@settings(max_examples=100, deadline=None)
@given(paths=_paths.filter(lambda paths: not clashing(paths)))
def test_a_list_cut_anywhere_goes_on_where_it_was_cut(paths: list[str]) -> None:
    stored = Stored()
    root = stored.grow(None, paths).root
    for recursive in (False, True):
        whole = [it.path for it in walk(root, stored.fetch, recursive=recursive)]
        assert len(set(whole)) == len(whole)
        for position, path in enumerate(whole):
            rest = walk(root, stored.fetch, recursive=recursive, after=path.split("/"))
            assert [it.path for it in rest] == whole[position + 1 :]
    files = [it for it in walk(root, stored.fetch, recursive=True) if isinstance(it, TreeEntry)]
    assert {it.path for it in files} == set(paths)
    assert all(it == entry(it.path) for it in files)
    for item in walk(root, stored.fetch, recursive=True):
        assert trees.find(root, item.path, stored.fetch) == item
        if isinstance(item, TreeFolder):
            below = walk(item.digest, stored.fetch, prefix=f"{item.path}/", recursive=True)
            assert [it.path for it in below if isinstance(it, TreeEntry)] == [
                path for path in sorted(it.path for it in files) if path.startswith(f"{item.path}/")
            ]


def test_a_page_of_a_big_folder_reads_few_of_its_objects() -> None:
    stored = Stored()
    names = [f"{random.Random(number).getrandbits(40):010x}" for number in range(20_000)]
    root = stored.grow(None, names).root
    stored.fetched = 0
    middle = sorted(names)[10_000]
    found = walk(root, stored.fetch, after=[middle])
    assert [next(found).path for _ in range(1000)] == sorted(names)[10_001:11_001]
    assert stored.fetched < 30


def test_a_change_opens_only_the_folders_that_it_touches() -> None:
    stored = Stored()
    root = stored.grow(None, [f"d{number % 100}/f{number}" for number in range(10_000)]).root
    stored.fetched = 0
    tree = stored.grow(root, ["d7/new"])
    assert stored.fetched < 10
    assert len(tree.objects) < 10
