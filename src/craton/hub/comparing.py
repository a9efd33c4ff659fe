"""What differs between two trees. What they share (folders, pages of them) is never read: equal objects are equal."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from craton.core.repo import TreeEntry
from craton.hub.trees import Fetch, Node, nodes_of, read_folder, read_page


class Changed(Struct, frozen=True):
    """before None: the file is new; after None: it is gone."""

    path: str
    before: TreeEntry | None
    after: TreeEntry | None


def compare(before: str, after: str, fetch: Fetch) -> Iterator[Changed]:
    """The files that differ below two root folders' objects, folder by folder in the order of names."""
    return _compare(before, after, fetch, "")


def _compare(before: str, after: str, fetch: Fetch, prefix: str) -> Iterator[Changed]:
    if before == after:
        return
    old, new = differing(before, after, fetch)
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name), new.get(name)
        if was == now:
            continue
        path = prefix + name
        if was is not None and now is not None and was.folder and now.folder:
            yield from _compare(was.digest.hex(), now.digest.hex(), fetch, f"{path}/")
        elif was is not None and now is not None and not was.folder and not now.folder:
            yield Changed(path, _entry(was, path), _entry(now, path))
        else:
            for file in _files(was, path, fetch):
                yield Changed(file.path, file, None)
            for file in _files(now, path, fetch):
                yield Changed(file.path, None, file)


def differing(before: str, after: str, fetch: Fetch) -> tuple[dict[str, Node], dict[str, Node]]:
    """The entries of each folder, less those of the pages that both have."""
    folders = fetch([before, after])
    old, new = ([page.digest.hex() for page in read_folder(folders[it]).pages] for it in (before, after))
    shared = set(old) & set(new)
    pages = fetch((set(old) | set(new)) - shared)
    named = [
        {node.name: node for page in side if page not in shared for node in read_page(pages[page])}
        for side in (old, new)
    ]
    return named[0], named[1]


def _files(node: Node | None, path: str, fetch: Fetch) -> Iterator[TreeEntry]:
    """The file itself, or all files below the folder."""
    if node is None:
        return
    if not node.folder:
        yield _entry(node, path)
        return
    for inner in nodes_of(node.digest.hex(), fetch):
        yield from _files(inner, f"{path}/{inner.name}", fetch)


def _entry(node: Node, path: str) -> TreeEntry:
    return TreeEntry(path, node.digest.hex(), node.size, node.oid.hex(), node.large)
