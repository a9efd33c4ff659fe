"""Rot is found, repaired where there is a second copy, and told where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from craton.core.errors import Damaged
from craton.core.repo import RepoId
from craton.hub.keeping.affected import affected
from craton.hub.keeping.scrubbing import PREFIXES, Scrubbed, Scrubber
from craton.store.blobs.folder import FolderBlobs
from craton.store.blobs.replicated import ReplicatedBlobs
from craton.store.database import Database
from tests.hub.keeping.conftest import REPO, World

FAST = 1e12  # bytes a second


def scrub(world: World) -> Scrubbed:
    done = Scrubbed()
    for _ in Scrubber(world.database, world.store, world.clock, FAST).scrub(done):
        pass
    return done


def test_rot_without_a_replica_is_put_aside_and_the_files_are_named(world: World) -> None:
    world.hub.create("red", REPO)
    sound = world.add("red", b"sound", "sound.bin")
    rotten = world.add("red", b"rotten", "deep/down/rotten.bin")
    gone = world.add("red", b"gone", "gone.bin")
    world.damage(rotten)
    world.store.remove(gone)
    done = scrub(world)
    assert (done.damaged, done.missing, done.repaired) == (1, 1, 0)
    scrubber = Scrubber(world.database, world.store, world.clock, FAST)
    assert set(scrubber.broken()) == {rotten, gone}
    found = {(it.digest, it.tenant, it.repo.path, it.ref, it.path) for it in affected(world.database, [rotten, gone])}
    assert found == {
        (rotten, "red", "acme/bert", "refs/heads/main", "deep/down/rotten.bin"),
        (gone, "red", "acme/bert", "refs/heads/main", "gone.bin"),
    }
    with pytest.raises(Damaged):
        list(world.blobs.read(rotten))
    assert not world.blobs.exists(rotten), "a client is told to send it again"
    world.hub.store("red", [b"rotten"], 6)
    world.hub.store("red", [b"gone"], 4)
    scrub(world)
    assert scrubber.broken() == []
    assert scrubber.health().repaired == 2
    assert b"".join(world.blobs.read(sound)) == b"sound"


def test_only_older_commits_are_told_as_such(world: World) -> None:
    world.hub.create("red", REPO)
    old = world.add("red", b"old", "x.bin")
    world.add("red", b"new", "x.bin")
    assert [(it.ref, it.path) for it in affected(world.database, [old])] == [("", "x.bin")]


def test_rot_and_loss_are_repaired_from_the_replica(database: Database, tmp_path: Path) -> None:
    first, second = FolderBlobs(tmp_path / "blobs"), FolderBlobs(tmp_path / "replica")
    world = World(database, tmp_path / "blobs", ReplicatedBlobs(first, second))
    repo = RepoId("model", "acme", "other")
    world.hub.create("red", repo)
    rotten, gone = world.add("red", b"rotten", "a.bin", repo), world.add("red", b"gone", "b.bin", repo)
    late = first.put([b"the replica was away"]).digest
    world.damage(rotten)
    first.remove(gone)
    done = scrub(world)
    assert (done.damaged, done.missing, done.repaired) == (1, 1, 2)
    assert (b"".join(first.read(rotten)), b"".join(world.blobs.read(gone))) == (b"rotten", b"gone")
    assert (done.copied, second.exists(late)) == (1, True)
    assert Scrubber(database, world.store, world.clock, FAST).broken() == []


def test_it_keeps_to_its_rate_and_goes_on_where_it_was(world: World) -> None:
    digests = {world.store.put([bytes([number]) * 10_000]).digest for number in range(10)}
    slept: list[float] = []
    scrubber = Scrubber(world.database, world.store, world.clock, 100_000.0, slept.append)
    done = Scrubbed()
    assert max(scrubber.scrub(done)) == PREFIXES - 1
    assert (done.blobs, done.bytes) == (10, 100_000)
    assert sum(slept) == pytest.approx(1.0, abs=0.3)
    half = Scrubbed()
    for _ in scrubber.scrub(half, begin=128):
        pass
    assert half.blobs == sum(digest >= "80" for digest in digests)
