"""What nobody needs goes, after its time; what anybody needs stays, whoever is at work meanwhile."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from craton.core.errors import InvalidRequest, Throttled
from craton.core.repo import Add, Copy, Delete, RepoId
from craton.hub.contents import Contents
from craton.hub.files import StoredFile, note_files, stored_files, touch_files
from craton.hub.keeping.collecting import Collector
from craton.hub.keeping.condemned import reprieve
from craton.hub.keeping.marks import Marks
from craton.hub.keeping.tables import condemned
from craton.hub.xet.tables import recipe_blobs, recipes, xorbs
from craton.store.blobs import Listed
from craton.store.blobs.folder import FolderBlobs
from craton.store.database import Database
from tests.hub.keeping.conftest import HOUR, REPO, World

OTHER = RepoId("dataset", "acme", "churn")
DAY = 24 * HOUR


def collect_for_days(world: World, days: int = 4) -> int:
    """Bytes that came back."""
    total = 0
    for _ in range(days):
        world.now += DAY + HOUR
        total += world.collect().bytes
    return total


def test_marks_find_what_was_added_and_little_else() -> None:
    marks = Marks(10_000)
    for number in range(10_000):
        marks.add("red", str(number))
    assert all(("red", str(number)) in marks for number in range(10_000))
    assert sum(("blue", str(number)) in marks for number in range(10_000)) < 200


def test_a_deleted_repositorys_bytes_come_back_and_the_others_stay(world: World) -> None:
    world.hub.create("red", REPO)
    world.hub.create("red", OTHER)
    lost = world.add("red", b"only here" * 1000, "model.bin")
    both = world.add("red", b"in both" * 1000, "a.bin")
    world.add("red", b"in both" * 1000, "b.bin", OTHER)
    old = world.add("red", b"first", "changed.txt", OTHER)
    new = world.add("red", b"second", "changed.txt", OTHER)
    assert collect_for_days(world) == 0, "an old commit's files are needed as well"
    world.hub.delete("red", REPO)
    assert world.collect().removed == 0, "not at once"
    assert collect_for_days(world) == 9000
    assert {it.digest for it in world.store.list()} == {both, old, new}
    assert lost not in {it.digest for it in world.store.list()}
    usage = world.quotas.usage("red")
    assert (usage.bytes, usage.files) == (7000 + 5 + 6, 3)
    assert usage == world.quotas.recount("red")


def test_what_was_uploaded_and_never_committed_goes_after_its_time(world: World) -> None:
    world.hub.create("red", REPO)
    left = world.hub.store("red", [b"left behind"], 11).digest
    world.now += DAY - HOUR
    assert world.collect().forgotten == 0
    world.now += 2 * HOUR
    assert world.collect().forgotten == 1
    with pytest.raises(InvalidRequest, match="not uploaded"):
        world.commit("red", [Add("left.txt", left, 11)])
    assert collect_for_days(world) == 11
    assert not world.store.exists(left)


def test_bytes_without_any_row_go_and_what_others_name_stays(world: World) -> None:
    named = world.store.put([b"of a document"]).digest
    orphan = world.store.put([b"its writer was killed"]).digest
    world.named.append(named)
    assert collect_for_days(world) == len(b"its writer was killed")
    assert (world.store.exists(named), world.store.exists(orphan)) == (True, False)


def test_one_tenants_file_is_not_another_tenants_business(world: World) -> None:
    for tenant in ("red", "blue"):
        world.hub.create(tenant, REPO)
        digest = world.add(tenant, b"the same bytes", "x.bin")
    world.hub.delete("red", REPO)
    assert collect_for_days(world) == 0
    assert (world.quotas.usage("red").bytes, world.quotas.usage("blue").bytes) == (0, 14)
    assert b"".join(world.blobs.read(digest)) == b"the same bytes"


def test_copies_and_deletions_within_a_repository_lose_nothing(world: World) -> None:
    world.hub.create("red", REPO)
    digest = world.add("red", b"moved", "before.bin")
    world.commit("red", [Copy("after.bin", "before.bin", "main"), Delete("before.bin")])
    world.hub.squash("red", REPO, "main", "one commit", "red")
    assert collect_for_days(world) == 0
    assert world.store.exists(digest)


def test_chunks_go_when_no_client_can_remember_them(world: World) -> None:
    """A xorb's rows as Xet writes them, with and without a file that is made of it."""
    idle, part = world.store.put([b"idle xorb"]).digest, world.store.put([b"part of a file"]).digest
    made = "ab" * 32
    with world.database.write() as connection:
        row = {"tenant": "red", "hash": "1" * 64, "digest": idle, "size": 9, "layout": b"", "created": 0.0}
        connection.execute(insert(xorbs).values(**row, used=world.clock()))
        connection.execute(insert(recipes).values(digest=made, size=14, parts=b""))
        connection.execute(insert(recipe_blobs).values(digest=made, blob=part))
        note_files(connection, "red", [StoredFile(made, 14, "0" * 40)], world.clock)
    assert collect_for_days(world, 2) == 14, "the file that was never committed goes with its recipe ..."
    assert world.store.exists(idle), "... but a client may remember the chunks"
    world.now += 28 * DAY
    assert collect_for_days(world, 2) == 9
    with world.database.read() as connection:
        assert connection.execute(select(recipes)).all() == connection.execute(select(recipe_blobs)).all() == []


# --- others at work -------------------------------------------------------------------------------------------


class Interrupting(FolderBlobs):
    """Does something else in the middle of what the collector does."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.before_removing = lambda digest: None
        self.while_listing = lambda: None

    def list(self, prefix: str = ""):  # type: ignore[no-untyped-def]
        self.while_listing()
        return super().list(prefix)

    def stat(self, digest: str) -> Listed:
        found = super().stat(digest)
        self.before_removing(digest)
        return found


def test_a_put_between_the_last_look_and_the_removal_is_told_so(database: Database, tmp_path: Path) -> None:
    """Its bytes are gone: the row must not be written."""
    store = Interrupting(tmp_path / "blobs")
    world = World(database, tmp_path / "blobs", store)
    digest = world.store.put([b"orphan"]).digest
    world.now += 2 * DAY
    world.collect()
    world.now += DAY
    store.before_removing = lambda found: store.put([b"orphan"]) and None
    assert world.collect().removed == 1
    with pytest.raises(Throttled), world.database.write() as connection:
        reprieve(connection, world.store, [digest])
    store.before_removing = lambda found: None
    world.hub.create("red", REPO)
    assert world.add("red", b"orphan", "x.bin") == digest, "the upload that is repeated is kept"
    assert b"".join(world.store.read(digest)) == b"orphan"


def test_a_file_that_is_committed_while_trees_are_read_stays(database: Database, tmp_path: Path) -> None:
    """Its stored row is old, and the tree that names it comes too late to be seen."""
    world = World(database, tmp_path / "blobs")
    world.hub.create("red", REPO)
    stored = world.hub.store("red", [b"late"], 4)
    world.now += 2 * DAY

    def late(what: str, count: int) -> None:
        if what == "reading trees" and not done:
            done.append(1)
            world.commit("red", [Add("late.bin", stored.digest, 4)])
            with database.write() as connection:  # at the moved clock: a commit takes the real one
                touch_files(connection, "red", [stored.digest], world.clock())

    done: list[int] = []
    Collector(database, world.store, [], world.clock, DAY).collect(late)
    assert done
    with database.read() as connection:
        assert stored.digest in stored_files(connection, "red", [stored.digest])


def test_uploads_commits_and_deletions_beside_collections_lose_nothing(database: Database, tmp_path: Path) -> None:
    """Everything is older than the grace the moment it is there: only looking again protects it."""
    world = World(database, tmp_path / "blobs")
    stop, failed, kept = threading.Event(), list[str](), dict[str, str]()

    def work(name: str) -> None:
        chance, repo = random.Random(name), RepoId("model", "acme", name)
        world.hub.create("red", repo)
        number = 0
        while not stop.is_set() or number < 10:
            content = b"%d" % chance.randrange(40)  # the same few contents come and go
            try:
                digest = world.add("red", content, f"{number % 3}.bin", repo)
            except (Throttled, InvalidRequest):
                continue  # refused, with a typed error: not acknowledged
            kept[name] = digest
            if b"".join(world.blobs.read(digest)) != content:
                failed.append(name)
            number += 1
            if number % 7 == 0:
                world.hub.delete("red", repo)
                world.hub.create("red", repo)
                kept.pop(name)

    threads = [threading.Thread(target=work, args=(f"repo-{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    removed = 0
    for _ in range(12):
        collector = Collector(database, world.store, [], lambda: world.clock() + 1, 0.0, hold=0.0)
        removed += collector.collect().removed
    stop.set()
    for thread in threads:
        thread.join(timeout=60)
    assert failed == []
    assert removed > 0
    for name in kept:
        for entry in Contents(database).files("red", RepoId("model", "acme", name), "main", 100).items:
            assert world.store.exists(entry.digest), (name, entry.path)


def test_a_collection_that_was_killed_is_done_by_the_next(world: World) -> None:
    """Killed before any of its steps' writes."""
    orphans = [world.store.put([b"%d" % number]).digest for number in range(20)]
    world.hub.create("red", REPO)
    kept = world.add("red", b"kept", "kept.bin")

    class Killed(BaseException):
        pass

    killed = 0
    for moment in range(6):
        world.now += 2 * DAY
        seen = 0

        def kill(what: str, count: int, moment: int = moment) -> None:
            nonlocal seen
            seen += 1
            if seen > moment:
                raise Killed

        try:
            Collector(world.database, world.store, [], world.clock, DAY).collect(kill)
        except Killed:
            killed += 1
        assert b"".join(world.store.read(kept)) == b"kept"
    assert killed >= 3
    collect_for_days(world, 3)
    assert {it.digest for it in world.store.list()} == {kept}
    assert not any(world.store.exists(digest) for digest in orphans)
    with world.database.read() as connection:
        assert connection.execute(select(condemned).where(condemned.c.removed.is_(None))).all() == []
