"""What a mirror remembers, whose its repositories are, and what becomes of them when the settings change."""

from __future__ import annotations

import asyncio

import pytest

from craton.core.access import STRANGER
from craton.core.errors import NotFound, SourceFailed
from craton.core.repo import RepoId, TreeEntry
from craton.hub.mirror.remembering import DOWN, MISSING, Answers
from craton.hub.mirror.shelving import Shelving
from craton.hub.mirror.tables import learned
from craton.hub.mirror.words import Seen, Upstream
from craton.hub.reaching import Reaching
from craton.hub.repositories import Hub
from craton.store.schema import metadata

REPO = RepoId("model", "acme", "net")
SEEN = Seen(REPO, "c" * 40, False, False, 1000.0)
ENTRY = TreeEntry("a/b.safetensors", "d" * 64, 5, "e" * 40, True)
OPEN = Upstream("up", "https://hub.example", ("acme/*",))
ALONE = Upstream("up", "https://hub.example", ("acme/*",), tenants=("t",))


def test_patterns_say_what_may_come() -> None:
    upstream = Upstream("up", "https://hub.example", ("Qwen/*", "gpt2"), kinds=("model",))
    assert [upstream.allows("model", it) for it in ("Qwen/x", "qwen/x", "Qwen2/x", "gpt2", "a/gpt2")] == [
        True,
        False,
        False,
        True,
        False,
    ]
    assert not upstream.allows("dataset", "Qwen/x")
    assert not Upstream("up", "https://hub.example").allows("model", "acme/net")
    assert [OPEN.serves(STRANGER), ALONE.serves("t"), ALONE.serves("u")] == [False, True, False]


def test_a_mirrored_commit_keeps_its_id_and_follows_the_settings(hub: Hub) -> None:
    metadata.create_all(hub.database.engine, tables=[learned])
    shelving = Shelving(hub.database, lambda: 2000.0)
    owner = OPEN.owner(False)
    for _ in range(2):
        shelving.put(owner, SEEN, [ENTRY], "hub.example", shared=True)
        shelving.point(owner, "model", "acme/old", "main", SEEN)
    assert hub.resolve(owner, REPO) == SEEN.commit
    assert hub.tree(owner, REPO) == [ENTRY]
    assert shelving.called(owner, "model", "acme/old") == REPO
    assert not shelving.holds(owner, ENTRY.digest)

    def reaches(tenant: str, *owners: str) -> bool:
        try:
            return Reaching(hub.database, lambda _: owners).reach(tenant, REPO).owner == owner
        except NotFound:
            return False

    shelving.open([OPEN])
    assert [reaches("t"), reaches("u")] == [True, True]
    shelving.open([ALONE])
    assert [reaches("t", *ALONE.owners()), reaches("u")] == [True, False]
    shelving.open([])
    assert [reaches("t"), reaches("u")] == [False, False]


@pytest.mark.anyio
async def test_one_question_at_a_time_and_its_answer_for_a_while() -> None:
    now, asked = [0.0], []
    answers = Answers(lambda: now[0])

    async def ask() -> int:
        asked.append(now[0])
        await asyncio.sleep(0.01)
        if now[0] >= 200:
            raise SourceFailed("up", "down")
        if now[0] >= 100:
            raise NotFound("repository", "acme/net")
        return len(asked)

    assert await asyncio.gather(*(answers.get("k", 60.0, ask) for _ in range(5))) == [1] * 5
    leaving = asyncio.create_task(answers.get("other", 60.0, ask))
    await asyncio.sleep(0)
    leaving.cancel()  # what was begun for somebody who left is done for whoever comes next
    assert await answers.get("other", 60.0, ask) == 2
    now[0] = 61.0
    assert await answers.get("k", 60.0, ask) == 3
    for begin, patience, error in ((150.0, MISSING, NotFound), (250.0, DOWN, SourceFailed)):
        for now[0] in (begin, begin + patience - 1, begin + patience):
            with pytest.raises(error):
                await answers.get("k", 60.0, ask)
        assert asked[-2:] == [begin, begin + patience]
    await answers.close()
