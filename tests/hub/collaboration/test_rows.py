"""The queries hold on both databases: what the server's tests show on one is the same on the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from craton.core.errors import Conflict, Gated, NotFound
from craton.core.repo import Add, RepoId
from craton.hub.admission import Admission
from craton.hub.collaboration.access import AccessRequests
from craton.hub.collaboration.bounds import MAX_EVENTS
from craton.hub.collaboration.collections import CollectionChange, CollectionFilter, Collections
from craton.hub.collaboration.discussions import Discussions
from craton.hub.collaboration.items import Items
from craton.hub.collaboration.likes import Likes
from craton.hub.collaboration.listening import listeners
from craton.hub.collaboration.outbox import Outbox
from craton.hub.collaboration.pulls import PullRequests
from craton.hub.collaboration.tables import discussions as discussion_rows
from craton.hub.collaboration.users import Users
from craton.hub.collaboration.words import Filter
from craton.hub.reaching import Reached, Reaching
from craton.hub.repositories import Hub
from craton.store.blobs.folder import FolderBlobs
from craton.store.database import Database
from tests.migrated import upgrade

REPO = RepoId("model", "acme", "bert")


@pytest.fixture
def hub(database: Database, tmp_path: Path) -> Hub:
    """With a shared model of alice's that has one file."""
    upgrade(database)
    hub = Hub(database, FolderBlobs(tmp_path / "blobs"), clock, listeners(clock))
    hub.create("alice", REPO, private=False)
    commit(hub, "main", "a.txt", b"one\n")
    return hub


def clock() -> float:
    return 1_700_000_000.0


def commit(hub: Hub, ref: str, path: str, content: bytes) -> None:
    file = hub.store("alice", [content], len(content))
    parent = None if ref == "main" and not hub.refs("alice", REPO) else "HEAD"
    hub.commit("alice", REPO, ref, parent, [Add(path, file.digest, file.size)], "a change", "alice")


def reach(hub: Hub, who: str) -> Reached:
    return Reaching(hub.database).reach(who, REPO)


def discussions(hub: Hub) -> Discussions:
    return Discussions(hub.database, Admission(hub.database), clock, Outbox(clock).said)


def test_discussions_and_pull_requests(hub: Hub) -> None:
    talks = discussions(hub)
    pulls = PullRequests(hub, talks)
    hers, his = reach(hub, "alice"), reach(hub, "bob")
    assert talks.open("bob", his, "A question", "Why?").number == 1
    number = pulls.open("bob", his, "A change", "Look", "main")
    assert number == 2
    commit(hub, "refs/pr/2", "a.txt", b"two\n")
    found = talks.list("bob", his, Filter(pulls=True, status="open", author="bob"), 0)
    assert [it.number for it in found.discussions] == [2]
    assert pulls.changes("bob", his, number, patch=True).patch.endswith("@@ -1 +1 @@\n-one\n+two\n")
    pulls.merge("alice", hers, number, "", "alice")
    assert talks.get("bob", his, number)[0].status == "merged"
    hub.delete("alice", REPO)
    hub.create("alice", REPO, private=False)
    with pytest.raises(NotFound):
        talks.get("bob", reach(hub, "bob"), 1)


def test_a_discussion_is_full_at_some_point(hub: Hub) -> None:
    talks, his = discussions(hub), reach(hub, "bob")
    number = talks.open("bob", his, "A question", "Why?").number
    with hub.database.write() as connection:
        connection.execute(update(discussion_rows).values(events=MAX_EVENTS - 1))
    talks.comment("bob", his, number, "the last one")
    with pytest.raises(Conflict):
        talks.comment("bob", his, number, "one too many")


def test_what_was_reached_and_then_deleted_is_written_to_no_more(hub: Hub) -> None:
    his = reach(hub, "bob")
    hub.delete("alice", REPO)
    for write in (
        lambda: discussions(hub).open("bob", his, "A question", "Why?"),
        lambda: Likes(hub.database, clock).like("bob", his),
    ):
        with pytest.raises(NotFound):
            write()


def test_likes_and_overviews(hub: Hub) -> None:
    likes, his = Likes(hub.database, clock), reach(hub, "bob")
    likes.like("bob", his)
    likes.like("bob", his)
    assert (likes.count(his), likes.likers(his, "", 10)) == (1, ["bob"])
    assert [it.repo for it in likes.liked("alice", "bob", 0, 10)] == [REPO]
    overview = Users(hub.database, lambda _: True).user("bob", "alice")
    assert (overview.repositories, overview.namespaces) == ({"model": 1}, ("acme",))
    hub.delete("alice", REPO)
    assert likes.liked("alice", "bob", 0, 10) == []


def test_access_requests(hub: Hub) -> None:
    hub.configure("alice", REPO, gated="manual")
    requests, his = AccessRequests(hub.database, clock, lambda _: True), reach(hub, "bob")
    assert requests.ask("bob", his, {"Why": "so"}) == "pending"
    with pytest.raises(Gated):
        Admission(hub.database).check("bob", his)
    requests.handle(reach(hub, "alice"), "accepted", user="bob", request=None)
    Admission(hub.database).check("bob", his)
    assert [it.fields for it in requests.list(his, "accepted", "", 10)] == [{"Why": "so"}]


def test_collections(hub: Hub) -> None:
    collections, his = Collections(hub.database, clock), reach(hub, "bob")
    items = Items(collections)
    made = [collections.create("bob", "bob", f"List {it}", None, private=False) for it in range(3)]
    items.add("bob", made[1].slug, his, "A note")
    items.add("bob", made[1].slug, made[0].slug, None)
    assert [(it.kind, it.name, it.note) for it in items.of("alice", made[1])] == [
        ("model", "acme/bert", "A note"),
        ("collection", made[0].slug, None),
    ]
    holding = CollectionFilter(("bob",), (his,), "list")
    assert [it.id for it in collections.list("alice", holding, "lastModified", 0, 10)] == [made[1].id]
    collections.change("bob", made[2].slug, CollectionChange(position=0))
    order = sorted(collections.list("bob", CollectionFilter(), "title", 0, 10), key=lambda it: it.position)
    assert [it.title for it in order] == ["List 2", "List 0", "List 1"]
    collections.delete("bob", made[0].slug)
    hub.delete("alice", REPO)
    assert items.of("bob", made[1]) == []
