"""Trees as content-addressed objects, so that a commit stores what it changed and not every row again.

A folder is a list of pages; a page is a run of its entries in the order of their names. A page ends where the hash of
a name says so (content-defined, as in prolly trees), so adding one file to a folder of 10,000 rewrites one page of
about 128 entries and the folder's list of pages. Objects are named by sha256; git's SHA-1 ids are kept beside.
Changes are made by `editing`, lists are read by `walking`.
"""

from __future__ import annotations

import hashlib
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct

from craton.core.repo import TreeEntry, TreeFolder
from craton.hub.git import tree_id

_PAGE_MASK = 127  # one name in 128 ends a page
_PAGE_LIMIT = 1024

Fetch = Callable[[Iterable[str]], Mapping[str, bytes]]
"""Object digests -> their contents; every one is there."""
Objects = dict[str, bytes]


class Node(Struct, frozen=True, array_like=True):
    """A name in a folder. digest: of the blob, or of the folder's object; oid: git's id of it."""

    name: str
    digest: bytes
    oid: bytes
    size: int
    folder: bool
    large: bool = False

    @classmethod
    def of(cls, entry: TreeEntry) -> Node:
        name = entry.path.rpartition("/")[2]
        return cls(name, bytes.fromhex(entry.digest), bytes.fromhex(entry.git_oid), entry.size, False, entry.large)

    def item(self, path: str) -> TreeEntry | TreeFolder:
        if self.folder:
            return TreeFolder(path, self.oid.hex(), self.digest.hex())
        return TreeEntry(path, self.digest.hex(), self.size, self.oid.hex(), self.large)


class Page(Struct, frozen=True, array_like=True):
    first: str
    digest: bytes


class Folder(Struct, frozen=True, array_like=True):
    oid: bytes
    pages: list[Page]


class Tree(Struct, frozen=True):
    """root: digest of the root folder's object; oid: its git id; objects: digest -> content of every new object."""

    root: str
    oid: str
    objects: Objects


_encode = msgspec.msgpack.Encoder().encode
read_folder = msgspec.msgpack.Decoder(Folder).decode
read_page = msgspec.msgpack.Decoder(list[Node]).decode


def store_folder(nodes: Iterable[Node], objects: Objects) -> tuple[bytes, bytes]:
    """Digest and git id of a folder with these entries; its objects are put beside the others."""
    ordered = sorted(nodes, key=lambda node: node.name)
    oid = bytes.fromhex(tree_id((node.name, node.oid, node.folder) for node in ordered))
    pages = [Page(page[0].name, _store(_encode(page), objects)) for page in _cut(ordered)]
    return _store(_encode(Folder(oid, pages)), objects), oid


def _cut(nodes: list[Node]) -> Iterator[list[Node]]:
    page: list[Node] = []
    for node in nodes:
        page.append(node)
        if zlib.crc32(node.name.encode()) & _PAGE_MASK == _PAGE_MASK or len(page) == _PAGE_LIMIT:
            yield page
            page = []
    if page:
        yield page


def _store(content: bytes, objects: Objects) -> bytes:
    digest = hashlib.sha256(content)
    objects[digest.hexdigest()] = content
    return digest.digest()


def load(root: str, fetch: Fetch) -> dict[str, TreeEntry]:
    """Every file of the tree, by path, sorted. Two fetches for each level of folders."""
    files: dict[str, TreeEntry] = {}
    level = [("", root)]
    while level:
        folders = fetch({digest for _, digest in level})
        opened = [(prefix, read_folder(folders[digest])) for prefix, digest in level]
        pages = fetch({page.digest.hex() for _, folder in opened for page in folder.pages})
        level = []
        for prefix, folder in opened:
            for page in folder.pages:
                for node in read_page(pages[page.digest.hex()]):
                    item = node.item(prefix + node.name)
                    if isinstance(item, TreeFolder):
                        level.append((f"{item.path}/", item.digest))
                    else:
                        files[item.path] = item
    return dict(sorted(files.items()))


def reachable(root: str, fetch: Fetch) -> Objects:
    """Every object of the tree."""
    found: Objects = {}
    level = {root}
    while level:
        folders = fetch(level)
        pages = fetch({page.digest.hex() for content in folders.values() for page in read_folder(content).pages})
        found.update(folders)
        found.update(pages)
        nodes = (node for content in pages.values() for node in read_page(content) if node.folder)
        level = {node.digest.hex() for node in nodes} - found.keys()
    return found


def named(content: bytes) -> list[str]:
    """The digests of the files that an object names: none when it is a folder's list of pages."""
    try:
        return [node.digest.hex() for node in read_page(content) if not node.folder]
    except msgspec.ValidationError:
        return []


def nodes_of(digest: str, fetch: Fetch) -> list[Node]:
    """All entries of one folder, in the order of their names."""
    pages = [page.digest.hex() for page in read_folder(fetch([digest])[digest]).pages]
    contents = fetch(pages)
    return [node for page in pages for node in read_page(contents[page])]


def find(root: str, path: str, fetch: Fetch) -> TreeEntry | TreeFolder | None:
    """What stands at path, or None. Two small fetches for each part of the path."""
    digest, node = root, None
    for part in path.split("/"):
        if node is not None and not node.folder:
            return None
        node = _lookup(digest, part, fetch)
        if node is None:
            return None
        digest = node.digest.hex()
    return None if node is None else node.item(path)


def folder_oid(digest: str, fetch: Fetch) -> str:
    """git's id of the folder with this object."""
    return read_folder(fetch([digest])[digest]).oid.hex()


def find_folder(root: str, path: str, fetch: Fetch) -> str | None:
    """The digest of the folder at path ("" is the root), or None."""
    if not path:
        return root
    found = find(root, path, fetch)
    return found.digest if isinstance(found, TreeFolder) else None


def cached(fetch: Fetch, limit: int = 2048) -> Fetch:
    """The same, remembering up to `limit` objects: for many look-ups in one tree."""
    known: dict[str, bytes] = {}

    def remembering(digests: Iterable[str]) -> Mapping[str, bytes]:
        wanted = list(digests)
        missing = [digest for digest in wanted if digest not in known]
        found = {digest: known[digest] for digest in wanted if digest in known}
        if missing:
            found.update(fetch(missing))
        if len(known) + len(missing) > limit:
            known.clear()
        known.update(found)
        return found

    return remembering


def _lookup(digest: str, name: str, fetch: Fetch) -> Node | None:
    pages = read_folder(fetch([digest])[digest]).pages
    at = bisect_right(pages, name, key=lambda page: page.first) - 1
    if at < 0:
        return None
    page = pages[at].digest.hex()
    return next((node for node in read_page(fetch([page])[page]) if node.name == name), None)
