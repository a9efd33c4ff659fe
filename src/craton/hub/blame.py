"""Which commit last changed a path: a walk back through the history, in which equal folders are never opened.

A folder's object is equal as long as nothing below it changes; where it differs, only the pages that differ are read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import islice

from sqlalchemy import Connection

from craton.core.repo import Revision, TreeEntry, TreeFolder
from craton.hub import rows, trees
from craton.hub.comparing import differing
from craton.hub.trees import Fetch

MAX_COMMITS = 10_000  # that are walked; of paths that are older still, nothing is said


def last_commits(
    connection: Connection, tenant: str, repository: str, revision: str, items: Iterable[TreeEntry | TreeFolder]
) -> dict[str, Revision]:
    """The newest ancestor of the revision (or itself) that changed each of these items, by their paths."""
    waiting: dict[str, set[str]] = defaultdict(set)  # names by their folder
    for item in items:
        folder, _, name = item.path.rpartition("/")
        waiting[folder].add(name)
    fetch = trees.cached(rows.fetcher(connection, tenant, repository))
    found: dict[str, Revision] = {}
    newer: tuple[Revision, str] | None = None
    for commit, root in islice(rows.chain(connection, tenant, repository, revision), MAX_COMMITS):
        if newer is not None and newer[1] != root:
            _compare(newer, root, fetch, waiting, found)
        if not waiting:
            return found
        newer = commit, root
    if newer is not None and newer[0].parent is None:
        for folder, names in waiting.items():
            found.update({_join(folder, name): newer[0] for name in names})
    return found


def _compare(
    newer: tuple[Revision, str], root: str, fetch: Fetch, waiting: dict[str, set[str]], found: dict[str, Revision]
) -> None:
    """Moves from waiting to found what differs between a commit and its parent's root folder."""
    commit, tree = newer
    for folder, names in list(waiting.items()):
        now, before = trees.find_folder(tree, folder, fetch), trees.find_folder(root, folder, fetch)
        if now == before:
            continue
        if now is None or before is None:
            changed = set(names)
        else:
            old, new = differing(before, now, fetch)
            changed = {name for name in names if old.get(name) != new.get(name)}
        found.update({_join(folder, name): commit for name in changed})
        names.difference_update(changed)
        if not names:
            del waiting[folder]


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
