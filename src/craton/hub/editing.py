"""A tree while it is changed: only the folders that a change touches are opened, and only they are written again."""

from __future__ import annotations

from dataclasses import dataclass, field

from craton.core.errors import InvalidRequest, NotFound
from craton.core.repo import TreeEntry
from craton.hub.trees import Fetch, Node, Objects, Tree, nodes_of, store_folder


@dataclass(slots=True)
class _Open:
    """A folder that was opened. folders: closed ones as they stand in the tree, or opened."""

    files: dict[str, Node] = field(default_factory=dict)
    folders: dict[str, Node | _Open] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not self.files and not self.folders


class Editor:
    """Changes are made one after the other; `tree` gives the outcome. A path may be a file and a folder in between,
    not at the end."""

    def __init__(self, root: str | None, fetch: Fetch) -> None:
        """root: digest of the root folder to begin with, None for nothing."""
        self._fetch = fetch
        self._root = _Open() if root is None else self._opened(root)

    def put(self, entry: TreeEntry) -> None:
        *parts, name = entry.path.split("/")
        place = self._root
        for part in parts:
            inner = place.folders.get(part)
            if not isinstance(inner, _Open):
                inner = place.folders[part] = _Open() if inner is None else self._opened(inner.digest.hex())
            place = inner
        place.files[name] = Node.of(entry)

    def remove(self, path: str) -> None:
        """One file, or all below a folder: with "/" at its end, or where no file is called so. Raises NotFound."""
        folder = path.endswith("/")
        *parts, name = path.removesuffix("/").split("/")
        chain = [self._root]
        for part in parts:
            inner = chain[-1].folders.get(part)
            if inner is None:
                raise NotFound("folder" if folder else "file", path)
            if not isinstance(inner, _Open):
                inner = chain[-1].folders[part] = self._opened(inner.digest.hex())
            chain.append(inner)
        files = not folder and (name in chain[-1].files or name not in chain[-1].folders)
        held: dict[str, Node] | dict[str, Node | _Open] = chain[-1].files if files else chain[-1].folders
        if held.pop(name, None) is None:
            raise NotFound("folder" if folder else "file", path)
        for above, part in zip(reversed(chain[:-1]), reversed(parts), strict=True):
            if isinstance(inner := above.folders[part], _Open) and inner.empty:
                del above.folders[part]

    def tree(self) -> Tree:
        """The objects that are new or were opened. Raises InvalidRequest when a file and a folder share a path."""
        objects: Objects = {}
        digest, oid = _sealed(self._root, "", objects)
        return Tree(digest.hex(), oid.hex(), objects)

    def _opened(self, digest: str) -> _Open:
        nodes = nodes_of(digest, self._fetch)
        return _Open(
            {node.name: node for node in nodes if not node.folder}, {node.name: node for node in nodes if node.folder}
        )


def _sealed(folder: _Open, path: str, objects: Objects) -> tuple[bytes, bytes]:
    both = folder.files.keys() & folder.folders.keys()
    if both:
        raise InvalidRequest(f"{path + min(both)!r} is both a file and a folder", "path")
    nodes = list(folder.files.values())
    for name, inner in folder.folders.items():
        if isinstance(inner, _Open):
            nodes.append(Node(name, *_sealed(inner, f"{path}{name}/", objects), 0, True))
        else:
            nodes.append(inner)
    return store_folder(nodes, objects)
