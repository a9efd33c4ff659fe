"""Run as a process, to be killed: makes keys and commits in a CRATON_HOME, and prints each when it stands.

Arguments: CRATON_HOME, a name that makes the contents differ. Lines: "key KEY_ID", "commit REVISION DIGEST".
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from craton.app.config import Home
from craton.app.platform import open_platform
from craton.core.access import KeyRole
from craton.core.repo import Add, RepoId

TENANT = "default"


def write(home: Path, name: str) -> None:
    platform = open_platform(Home(home))
    repo = RepoId("dataset", "storm", name)
    platform.hub.create(TENANT, repo)
    parent = None
    for number in itertools.count():
        key = platform.keys.create(TENANT, f"{name} {number}", KeyRole.INVOKER)
        print("key", key.key_id, flush=True)
        content = f"{name} {number} ".encode() * 200
        stored = platform.hub.store(TENANT, [content], len(content))
        change = Add(f"{number}.txt", stored.digest, stored.size)
        parent = platform.hub.commit(TENANT, repo, "main", parent, [change], f"file {number}", "storm").id
        print("commit", parent, stored.digest, flush=True)


if __name__ == "__main__":
    write(Path(sys.argv[1]), sys.argv[2])
