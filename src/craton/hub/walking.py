"""Lists of what is in a tree, read a run of pages at a time: a listing of 100,000 entries holds a thousand of them.

The order is that of the names, folder by folder, each folder before what it holds; so the path that was reached says
where to go on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from craton.core.repo import TreeEntry, TreeFolder
from craton.hub.trees import Fetch, Folder, read_folder, read_page

_RUN = 8  # pages that are read at once: some thousand entries


def walk(
    root: str, fetch: Fetch, *, prefix: str = "", recursive: bool = False, after: Sequence[str] = ()
) -> Iterator[TreeEntry | TreeFolder]:
    """What the folder object `root` holds; with `recursive`, and so on below.

    prefix: stands before every path ("data/"). after: the parts of the path (below root) behind which to begin.
    """
    yield from _walk(read_folder(fetch([root])[root]), fetch, prefix, recursive, after)


def _walk(
    folder: Folder, fetch: Fetch, prefix: str, recursive: bool, after: Sequence[str]
) -> Iterator[TreeEntry | TreeFolder]:
    pages = [page.digest.hex() for page in folder.pages]
    begin = max(bisect_right(folder.pages, after[0], key=lambda page: page.first) - 1, 0) if after else 0
    for start in range(begin, len(pages), _RUN):
        run = pages[start : start + _RUN]
        contents = fetch(run)
        nodes = [node for page in run for node in read_page(contents[page])]
        if after:
            nodes = [node for node in nodes if node.name >= after[0]]
        inner = fetch({node.digest.hex() for node in nodes if node.folder}) if recursive else {}
        for node in nodes:
            reached = bool(after) and node.name == after[0]
            item = node.item(prefix + node.name)
            if not reached:
                yield item
            if isinstance(item, TreeFolder) and recursive:
                rest = after[1:] if reached else ()
                yield from _walk(read_folder(inner[item.digest]), fetch, f"{item.path}/", True, rest)
