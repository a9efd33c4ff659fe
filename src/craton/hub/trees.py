"""Trees as content-addressed objects, so that a commit stores what it changed and not every row again.

A folder is a list of pages; a page is a run of its entries in the order of their names. A page ends where the hash of
a name says so (content-defined, as in prolly trees), so adding one file to a folder of 10,000 rewrites one page of
about 128 entries and the folder's list of pages. Objects are named by sha256; git's SHA-1 ids are kept beside.
"""

from __future__ import annotations

import hashlib
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

import msgspec
from msgspec import Struct

from craton.core.errors import InvalidRequest
from craton.core.repo import TreeEntry
from craton.hub.git import tree_id

_PAGE_MASK = 127  # one name in 128 ends a page
_PAGE_LIMIT = 1024

_Content: TypeAlias = "dict[str, _Content | TreeEntry]"
"""A folder while it is built: name -> folder or file."""

Fetch = Callable[[Iterable[str]], Mapping[str, bytes]]
"""Object digests -> their contents; every one is there."""


class _Node(Struct, frozen=True, array_like=True):
    """A name in a folder. digest: of the blob, or of the folder's object; oid: git's id of it."""

    name: str
    digest: bytes
    oid: bytes
    size: int
    folder: bool


class _Page(Struct, frozen=True, array_like=True):
    first: str
    digest: bytes


class _Folder(Struct, frozen=True, array_like=True):
    oid: bytes
    pages: list[_Page]


class Tree(Struct, frozen=True):
    """root: digest of the root folder's object; oid: its git id; objects: digest -> content of every object."""

    root: str
    oid: str
    objects: dict[str, bytes]


_encode = msgspec.msgpack.Encoder().encode
_decode_folder = msgspec.msgpack.Decoder(_Folder).decode
_decode_page = msgspec.msgpack.Decoder(list[_Node]).decode


def build(files: Mapping[str, TreeEntry]) -> Tree:
    """The objects of a tree that holds these files. Raises InvalidRequest when a file and a folder share a path."""
    root: _Content = {}
    for entry in files.values():
        *folders, name = entry.path.split("/")
        place = root
        for folder in folders:
            inner = place.setdefault(folder, {})
            if isinstance(inner, TreeEntry):
                raise InvalidRequest(f"{entry.path!r} lies in a folder that is also a file", "path")
            place = inner
        if name in place:
            raise InvalidRequest(f"{entry.path!r} is both a file and a folder", "path")
        place[name] = entry
    objects: dict[str, bytes] = {}
    digest, oid = _store_folder(root, objects)
    return Tree(digest.hex(), oid.hex(), objects)


def _store_folder(content: _Content, objects: dict[str, bytes]) -> tuple[bytes, bytes]:
    nodes = [_node(name, value, objects) for name, value in sorted(content.items())]
    oid = bytes.fromhex(tree_id((node.name, node.oid, node.folder) for node in nodes))
    pages = [_Page(page[0].name, _store(_encode(page), objects)) for page in _pages(nodes)]
    return _store(_encode(_Folder(oid, pages)), objects), oid


def _node(name: str, value: _Content | TreeEntry, objects: dict[str, bytes]) -> _Node:
    if isinstance(value, TreeEntry):
        return _Node(name, bytes.fromhex(value.digest), bytes.fromhex(value.git_oid), value.size, False)
    return _Node(name, *_store_folder(value, objects), 0, True)


def _pages(nodes: list[_Node]) -> Iterator[list[_Node]]:
    page: list[_Node] = []
    for node in nodes:
        page.append(node)
        if zlib.crc32(node.name.encode()) & _PAGE_MASK == _PAGE_MASK or len(page) == _PAGE_LIMIT:
            yield page
            page = []
    if page:
        yield page


def _store(content: bytes, objects: dict[str, bytes]) -> bytes:
    digest = hashlib.sha256(content)
    objects[digest.hexdigest()] = content
    return digest.digest()


def load(root: str, fetch: Fetch) -> dict[str, TreeEntry]:
    """Every file of the tree, by path, sorted. Two fetches for each level of folders."""
    files: dict[str, TreeEntry] = {}
    level = [("", root)]
    while level:
        folders = fetch({digest for _, digest in level})
        opened = [(prefix, _decode_folder(folders[digest])) for prefix, digest in level]
        pages = fetch({page.digest.hex() for _, folder in opened for page in folder.pages})
        level = []
        for prefix, folder in opened:
            for page in folder.pages:
                for node in _decode_page(pages[page.digest.hex()]):
                    if node.folder:
                        level.append((f"{prefix}{node.name}/", node.digest.hex()))
                    else:
                        files[prefix + node.name] = _entry(prefix + node.name, node)
    return dict(sorted(files.items()))


def find(root: str, path: str, fetch: Fetch) -> TreeEntry | None:
    """The file at path, or None (also when path is a folder). Two small fetches for each part of the path."""
    digest = root
    *folders, name = path.split("/")
    for part in folders:
        node = _lookup(digest, part, fetch)
        if node is None or not node.folder:
            return None
        digest = node.digest.hex()
    node = _lookup(digest, name, fetch)
    return None if node is None or node.folder else _entry(path, node)


def _lookup(digest: str, name: str, fetch: Fetch) -> _Node | None:
    pages = _decode_folder(fetch([digest])[digest]).pages
    at = bisect_right(pages, name, key=lambda page: page.first) - 1
    if at < 0:
        return None
    page = pages[at].digest.hex()
    return next((node for node in _decode_page(fetch([page])[page]) if node.name == name), None)


def _entry(path: str, node: _Node) -> TreeEntry:
    return TreeEntry(path, node.digest.hex(), node.size, node.oid.hex())
