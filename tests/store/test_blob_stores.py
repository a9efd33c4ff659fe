"""One contract for every store of blobs: a folder, a bucket of an S3-compatible server, and one that has a replica.

The S3-compatible server is a second Craton. CRATON_TEST_S3 (ENDPOINT,BUCKET,ACCESS_KEY:SECRET_KEY) names another one.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import obstore
import pytest

from craton.core.errors import Damaged, NotFound, StorageFull
from craton.store.blobs import BlobStore
from craton.store.blobs.cache import SPARED, Cache
from craton.store.blobs.folder import FolderBlobs
from craton.store.blobs.remote import PART, RemoteBlobs
from craton.store.blobs.replicated import ReplicatedBlobs
from craton.store.s3 import connect
from tests.servers import serving

LARGE = PART + 1_000_000  # goes in parts
Server = tuple[str, str, str]


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Endpoint, bucket, secret."""
    if given := os.environ.get("CRATON_TEST_S3"):
        endpoint, bucket, secret = given.split(",")
        yield endpoint, bucket, secret
        return
    with serving(tmp_path_factory.mktemp("s3") / "home") as server:
        server.craton("buckets", "create", "blobs")
        yield server.url, "blobs", f"{server.access_key_id}:{server.secret_access_key}"


class World:
    """A store, and how its medium is damaged behind its back."""

    def __init__(self, store: BlobStore, damage: Callable[[str], None], again: Callable[[], BlobStore]) -> None:
        self.store, self.damage, self.again = store, damage, again


def in_folder(folder: Path) -> World:
    def damage(digest: str) -> None:
        path = folder / digest[:2] / digest[2:]
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-1] + b"?")

    return World(FolderBlobs(folder), damage, lambda: FolderBlobs(folder))


def in_bucket(server: Server, folder: Path, limit: int = 2**30) -> World:
    endpoint, bucket, secret = server
    bucket_store = connect(bucket, endpoint, secret=secret, checksums=True)
    prefix = f"{folder.parent.name}-{os.getpid()}/x"

    def damage(digest: str) -> None:
        (folder / digest).unlink(missing_ok=True)
        key = f"{prefix}/{digest[:2]}/{digest[2:]}"
        obstore.put(bucket_store, key, bytes(obstore.get(bucket_store, key).bytes())[:-1] + b"?")

    def opened() -> RemoteBlobs:
        return RemoteBlobs(lambda: bucket_store, prefix, Cache(folder, limit))

    return World(opened(), damage, opened)


@pytest.fixture(params=["folder", "bucket", "replicated"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    if request.param == "folder":
        return in_folder(tmp_path / "blobs")
    there = in_bucket(request.getfixturevalue("s3"), tmp_path / "cache")
    if request.param == "bucket":
        return there
    here = in_folder(tmp_path / "blobs")

    def damage_both(digest: str) -> None:
        here.damage(digest)
        there.damage(digest)

    return World(
        ReplicatedBlobs(here.store, there.store), damage_both, lambda: ReplicatedBlobs(here.again(), there.again())
    )


def test_what_is_put_comes_back_in_every_way(world: World) -> None:
    for size in (0, 1, 70_000, LARGE):
        content = random.Random(size).randbytes(size)
        blob = world.store.put(content[start : start + 60_000] for start in range(0, size, 60_000))
        assert blob.digest == hashlib.sha256(content).hexdigest()
        for store in (world.store, world.again()):
            assert (store.size(blob.digest), store.exists(blob.digest)) == (size, True)
            assert b"".join(store.read(blob.digest)) == content
            middle = b"".join(store.span(blob.digest, size // 3, size // 2))
            assert middle == content[size // 3 : size // 2]
            assert store.path(blob.digest).read_bytes() == content
            assert sum(store.verify(blob.digest)) == size
    with pytest.raises(Damaged):
        list(world.store.span(blob.digest, 0, LARGE + 1))


def test_it_can_be_read_without_a_copy_on_this_machine(s3: Server, tmp_path: Path) -> None:
    content = random.Random(5).randbytes(3_000_000)
    digest = in_bucket(s3, tmp_path / "cache").store.put([content]).digest
    (tmp_path / "cache" / digest).unlink()
    store = in_bucket(s3, tmp_path / "cache").store
    assert b"".join(store.read(digest)) == content
    assert b"".join(store.span(digest, 2_000_000, 2_000_007)) == content[2_000_000:2_000_007]
    assert not (tmp_path / "cache" / digest).exists(), "reading takes no room"
    assert store.path(digest).read_bytes() == content


def test_what_is_not_what_was_promised_or_breaks_off_is_not_there(world: World) -> None:
    promised = hashlib.sha256(b"good").hexdigest()
    with pytest.raises(Damaged):
        world.store.put([b"evil"], expected=promised)

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        world.store.put(broken())
    assert list(world.store.list()) == []


@pytest.mark.parametrize("name", ["0" * 64, "", "../../etc/passwd", "A" * 64, "0" * 63 + "\n", "0/" * 32])
def test_what_is_not_there_is_not_found(world: World, name: str) -> None:
    assert not world.store.exists(name)
    asked: list[Callable[[str], object]] = [
        world.store.size,
        world.store.stat,
        world.store.path,
        lambda digest: list(world.store.read(digest)),
        lambda digest: list(world.store.span(digest, 0, 1)),
        lambda digest: list(world.store.verify(digest)),
    ]
    for ask in asked:
        with pytest.raises(NotFound):
            ask(name)


def test_damage_is_told_put_aside_and_healed_by_a_put(world: World) -> None:
    digest = world.store.put([b"weights"]).digest
    world.damage(digest)
    store = world.again()
    for ask in (lambda: list(store.read(digest)), lambda: store.path(digest), lambda: list(store.verify(digest))):
        with pytest.raises(Damaged):
            ask()
    store.put_aside(digest)
    if not isinstance(store, ReplicatedBlobs):
        assert not store.exists(digest), "so that a client uploads it again"
        with pytest.raises(Damaged):
            store.size(digest)
        assert list(store.list()) == []
    assert store.put([b"weights"]).digest == digest
    assert b"".join(world.again().read(digest)) == b"weights"


def test_the_list_is_sorted_and_says_when(world: World) -> None:
    before = time.time() - 2
    digests = sorted(world.store.put([b"%d" % number]).digest for number in range(20))
    listed = list(world.store.list())
    assert [it.digest for it in listed] == digests
    assert all(before < it.modified < time.time() + 2 and it.size in {1, 2} for it in listed)
    assert [it.digest for it in world.store.list(digests[0][:2])] == [it for it in digests if it[:2] == digests[0][:2]]
    world.store.remove(digests[0])
    world.store.remove(digests[0])
    assert [it.digest for it in world.store.list()] == digests[1:]
    assert not world.store.exists(digests[0])


def test_writers_of_the_same_and_of_other_bytes_do_not_meet(world: World) -> None:
    stored: list[str] = []

    def put(number: int) -> None:
        stored.append(world.store.put([b"%d" % (number % 3)] * 5000).digest)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stored) == 12
    assert {b"".join(world.store.read(digest)) for digest in stored} == {b"%d" % number * 5000 for number in range(3)}


# --- a copy on this machine -----------------------------------------------------------------------------------


def test_copies_are_bounded_and_the_oldest_go_first(s3: Server, tmp_path: Path) -> None:
    limit = 170 * 2**20
    store = in_bucket(s3, tmp_path / "cache", limit).store
    digests = [store.put([bytes([number]) * 40 * 2**20]).digest for number in range(3)]
    old = time.time() - 2 * SPARED
    for age, digest in enumerate(digests):
        os.utime(tmp_path / "cache" / digest, (old + age, old))
    store.path(store.put([b"3" * 50 * 2**20]).digest)
    held = {path.name for path in (tmp_path / "cache").iterdir()} - {"lock"}
    assert sum((tmp_path / "cache" / name).stat().st_size for name in held) <= limit
    assert digests[0] not in held
    assert digests[2] in held
    assert store.path(digests[2]).stat().st_size == 40 * 2**20


def test_what_was_just_handed_out_is_not_taken_away(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 100 * 2**20)
    with cache.filling([b"a" * 60 * 2**20]) as (temporary, blob):
        path = cache.keep(temporary, blob.digest)
    with pytest.raises(StorageFull, match="cache"), cache.filling([b"b" * 60 * 2**20]):
        pass
    assert path.exists()
    assert [it.suffix for it in tmp_path.iterdir() if it.suffix] == []


def test_a_copy_that_went_bad_is_fetched_again(s3: Server, tmp_path: Path) -> None:
    digest = in_bucket(s3, tmp_path / "cache").store.put([b"weights"]).digest
    copy = tmp_path / "cache" / digest
    copy.chmod(0o600)
    copy.write_bytes(b"weight?")
    assert in_bucket(s3, tmp_path / "cache").store.path(digest).read_bytes() == b"weights"


def test_a_store_that_does_not_answer_acknowledges_nothing(tmp_path: Path) -> None:
    import socket

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
    store = connect("blobs", endpoint, secret="a:b")
    blobs = RemoteBlobs(lambda: store, "", Cache(tmp_path, 2**30))
    with pytest.raises(StorageFull, match="did not answer"):
        blobs.put([b"x"])


# --- a replica ------------------------------------------------------------------------------------------------


def test_what_went_bad_or_away_comes_back_from_the_replica_while_it_is_read(tmp_path: Path) -> None:
    one, two = in_folder(tmp_path / "one"), in_folder(tmp_path / "two")
    blobs = ReplicatedBlobs(one.store, two.store)
    for ask in (
        lambda digest: b"".join(ReplicatedBlobs(one.again(), two.again()).read(digest)),
        lambda digest: ReplicatedBlobs(one.again(), two.again()).path(digest).read_bytes(),
        lambda digest: b"".join(ReplicatedBlobs(one.again(), two.again()).span(digest, 0, 7)),
    ):
        digest = blobs.put([b"weights"]).digest
        one.damage(digest)
        assert ask(digest) == b"weights"
        one.store.remove(digest)
        assert ask(digest) == b"weights"
        assert b"".join(one.again().read(digest)) == b"weights"


def test_the_replica_catches_up_with_what_it_missed(tmp_path: Path) -> None:
    one, two = in_folder(tmp_path / "one"), in_folder(tmp_path / "two")
    digests = {one.store.put([b"%d" % number]).digest for number in range(9)}
    blobs = ReplicatedBlobs(one.store, two.store)
    kept = blobs.put([b"both"]).digest
    assert {it.digest for it in blobs.catch_up()} == digests
    assert {it.digest for it in two.store.list()} == digests | {kept}
    assert list(blobs.catch_up()) == []


def test_a_replica_that_cannot_be_written_holds_nobody_up(tmp_path: Path) -> None:
    one, two = in_folder(tmp_path / "one"), in_folder(tmp_path / "two")
    two.store._stopped = True  # type: ignore[attr-defined]  # as after an fsync that failed
    blobs = ReplicatedBlobs(one.store, two.store)
    digest = blobs.put([b"weights"]).digest
    assert (one.store.exists(digest), two.store.exists(digest)) == (True, False)
    assert {it.digest for it in ReplicatedBlobs(one.store, two.again()).catch_up()} == {digest}


def test_whoever_must_know_is_told_what_another_process_did_a_moment_ago(s3: Server, tmp_path: Path) -> None:
    mine, theirs = in_bucket(s3, tmp_path / "cache"), in_bucket(s3, tmp_path / "cache")
    digest = mine.store.put([b"here a moment ago"]).digest
    theirs.store.remove(digest)
    assert not mine.store.exists(digest, fresh=True)
    assert not mine.store.exists(digest), "and remembers it"


def test_files_that_go_while_the_cache_is_measured_fail_nobody(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 2**40)
    failed: list[BaseException] = []

    def fill(number: int) -> None:
        try:
            for _ in range(60):
                with cache.filling([b"%d" % number] * 10):
                    pass
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=fill, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
