"""Xorbs, shards and the files made of them: who may refer to what, what is refused, what is kept and for how long."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from craton.core.errors import CratonError, InvalidRequest, NotFound
from craton.core.repo import Add, RepoId
from craton.formats.xet.hashes import from_text, to_text
from craton.formats.xet.shards import File, Segment
from craton.hub.repositories import Hub
from craton.hub.xet import chunks, tables
from craton.hub.xet.blobs import ChunkedBlobs
from craton.hub.xet.collecting import WEEK, Collecting
from craton.hub.xet.keepers import ChunkKeeper, Keeper, PlainKeeper
from craton.hub.xet.reading import Plan
from craton.hub.xet.store import XetStore
from craton.store.blobs.folder import FolderBlobs
from craton.store.database import Database
from craton.store.schema import metadata
from tests.formats.xet_makers import MadeXorb, made_file, shard_of
from tests.hub.conftest import HUB_TABLES

TENANT, OTHER = "red", "blue"
TABLES = (
    *HUB_TABLES,
    *(tables.xorbs, tables.files, tables.uses, tables.chunks),
    *(tables.recipes, tables.recipe_blobs, tables.policies),
)


@dataclass
class Setting:
    """now: the clock, which a test may move."""

    database: Database
    blobs: ChunkedBlobs
    now: float = 1_700_000_000.0

    def __post_init__(self) -> None:
        self.xet = XetStore(self.database, self.blobs, lambda: self.now)
        self.hub = Hub(self.database, self.blobs, lambda: self.now)
        self.collecting = Collecting(self.database, lambda: self.now)
        self.plain: Keeper = PlainKeeper(self.database, self.blobs)
        self.chunked: Keeper = ChunkKeeper(self.database, self.blobs)

    def upload(self, xorb: MadeXorb, tenant: str = TENANT) -> bool:
        return self.xet.xorbs.add(tenant, to_text(xorb.hash), [xorb.content])

    def register(self, *files: File, tenant: str = TENANT, keeper: Keeper | None = None) -> int:
        return self.xet.files.register(tenant, shard_of(*files), keeper or self.chunked)

    def plan(self, file: File, start: int, end: int) -> Plan:
        return self.xet.reading.plan(TENANT, self.xet.reading.find(TENANT, to_text(file.hash)), start, end)


@pytest.fixture
def setting(database: Database, tmp_path: Path) -> Setting:
    metadata.create_all(database.engine, tables=TABLES)
    return Setting(database, ChunkedBlobs(FolderBlobs(tmp_path / "blobs"), database))


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Setting]:
    """On SQLite alone, for what does not turn on the database."""
    database = Database.at(tmp_path / "local.db")
    metadata.create_all(database.engine, tables=TABLES)
    yield Setting(database, ChunkedBlobs(FolderBlobs(tmp_path / "local-blobs"), database))
    database.close()


def some_xorb(seed: int, count: int = 20) -> MadeXorb:
    source = random.Random(seed)
    return MadeXorb([source.randbytes(source.randint(1, 2000)) for _ in range(count)])


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_what_its_chunks_make_and_may_be_committed(setting: Setting) -> None:
    repo = RepoId("model", "acme", "m")
    setting.hub.create(TENANT, repo)
    first, second = some_xorb(1), some_xorb(2)
    assert setting.upload(first)
    assert not setting.upload(first)
    setting.upload(second)
    for keeper, runs in (
        (setting.plain, ((first, 0, 20), (second, 5, 9))),
        (setting.chunked, ((second, 0, 20), (first, 3, 4), (second, 0, 1))),
    ):
        file, content = made_file(*runs)
        assert setting.register(file, keeper=keeper) == 1
        assert setting.register(file, keeper=keeper) == 1
        digest = sha256(content)
        assert b"".join(setting.blobs.read(digest)) == content
        assert setting.blobs.size(digest) == len(content)
        assert setting.blobs.plain.exists(digest) == (keeper is setting.plain)
        head = [ref.revision for ref in setting.hub.refs(TENANT, repo)]
        added = [Add("w.bin", digest, len(content))]
        setting.hub.commit(TENANT, repo, "main", head[0] if head else None, added, "it", "me")
        assert setting.xet.reading.hash_of(TENANT, digest) == to_text(file.hash)
        assert setting.xet.reading.hash_of(OTHER, digest) is None
        setting.hub.create(OTHER, repo)
        with pytest.raises(InvalidRequest):  # its digest is no right to it
            setting.hub.commit(OTHER, repo, "main", None, added, "it", "me")
        setting.hub.delete(OTHER, repo)


def test_what_another_tenant_uploaded_is_as_absent_as_what_nobody_did(setting: Setting) -> None:
    theirs, nobodys = some_xorb(3), some_xorb(4)
    setting.upload(theirs, OTHER)
    setting.register(made_file((theirs, 0, 20))[0], tenant=OTHER)
    told = []
    for xorb in (theirs, nobodys):
        file, content = made_file((xorb, 0, 20))
        with pytest.raises(InvalidRequest) as refused:
            setting.register(file)
        assert not setting.xet.xorbs.has(TENANT, to_text(xorb.hash))
        assert setting.xet.reading.hash_of(TENANT, sha256(content)) is None
        told.append(str(refused.value))
        with pytest.raises(NotFound):
            setting.xet.reading.find(TENANT, to_text(file.hash))
        with pytest.raises(NotFound):
            setting.xet.remembering.around(TENANT, to_text(xorb.hashes[0]))
    assert told[0] == told[1]


Spoil = Callable[[File, MadeXorb], File]
SPOILT: dict[str, Spoil] = {
    "another file hash": lambda file, _: replace(file, hash=bytes(32)),
    "another sha256": lambda file, _: replace(file, sha256=bytes(32)),
    "no proof": lambda file, _: replace(file, ranges=[]),
    "another proof": lambda file, _: replace(file, ranges=[bytes(32)]),
    "a longer segment": lambda file, _: _segment(file, length=file.size + 1),
    "a shorter segment": lambda file, _: _segment(file, length=file.size - 1),
    "chunks behind the end": lambda file, xorb: _segment(file, end=len(xorb.chunks) + 1),
    "other chunks": lambda file, xorb: _segment(file, start=1),
    "an unknown xorb": lambda file, _: _segment(file, xorb=bytes(32)),
    "no chunks": lambda file, _: replace(file, segments=[], ranges=[]),
}


def _segment(file: File, **changes: int | bytes) -> File:
    return replace(file, segments=[Segment(**{**file.segments[0]._asdict(), **changes})])


@pytest.mark.parametrize("keep", ["plain", "chunks"])
@pytest.mark.parametrize("name", list(SPOILT))
def test_a_shard_that_lies_stores_nothing(name: str, keep: str, local: Setting) -> None:
    xorb = some_xorb(5)
    local.upload(xorb)
    file, content = made_file((xorb, 0, 20))
    keeper = local.plain if keep == "plain" else local.chunked
    with pytest.raises(InvalidRequest):
        local.register(SPOILT[name](file, xorb), keeper=keeper)
    assert not local.blobs.exists(sha256(content))
    assert local.xet.reading.hash_of(TENANT, sha256(content)) is None
    assert local.register(file, keeper=keeper) == 1


def test_a_xorb_that_is_not_what_its_hash_says_stores_nothing(local: Setting) -> None:
    xorb = some_xorb(6)
    for hash, content in (
        (to_text(bytes(32)), xorb.content),
        (to_text(xorb.hash), xorb.content[:-1]),
        (to_text(xorb.hash), xorb.content[:-1] + bytes([xorb.content[-1] ^ 1])),
        (to_text(xorb.hash), b""),
        ("x", xorb.content),
    ):
        with pytest.raises(InvalidRequest):
            local.xet.xorbs.add(TENANT, hash, [content])
        assert not local.xet.xorbs.has(TENANT, to_text(xorb.hash))
    assert not local.blobs.exists(sha256(xorb.content))


def test_every_range_of_a_file_that_is_kept_as_chunks_can_be_read(local: Setting) -> None:
    first, second = some_xorb(7), some_xorb(8)
    local.upload(first)
    local.upload(second)
    file, content = made_file((first, 2, 9), (second, 0, 20), (first, 0, 20))
    local.register(file)
    source, digest = random.Random(0), sha256(content)
    for _ in range(300):
        start = source.randrange(len(content))
        end = source.randint(start + 1, len(content))
        assert b"".join(local.blobs.span(digest, start, end)) == content[start:end]
        plan = local.plan(file, start, end)
        made, by_hash = b"", {to_text(it.hash): it for it in (first, second)}
        for term in plan.terms:
            run = b"".join(by_hash[term.xorb].chunks[term.start : term.end])
            assert len(run) == term.length
            assert any(it.start <= term.start and term.end <= it.end for it in plan.fetches[term.xorb])
            made += run
        assert made[plan.offset : plan.offset + end - start] == content[start:end]
        assert plan.offset < len(first.chunks[0]) + 2000
    assert local.blobs.path(digest).read_bytes() == content  # a model has to be mapped: now there is a file
    assert local.blobs.plain.exists(digest)
    for start, end in ((0, 0), (5, 5), (0, len(content) + 1), (len(content), len(content) + 1)):
        with pytest.raises(InvalidRequest):
            local.plan(file, start, end)


def test_alike_revisions_share_what_they_share(local: Setting) -> None:
    base = some_xorb(9, 200)
    local.upload(base)
    local.register(made_file((base, 0, 200))[0])
    folder = local.blobs.plain.path(sha256(base.content)).parents[1]

    def stored() -> int:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    before, new = stored(), 0
    for seed in range(10):
        own = some_xorb(100 + seed, 3)
        new += len(own.content)
        local.upload(own)
        local.register(made_file((base, 0, 50), (own, 0, 3), (base, 53, 200))[0])
    assert new <= stored() - before <= 1.2 * new


def test_xorbs_outlive_their_files_by_weeks(setting: Setting) -> None:
    used, idle = some_xorb(10), some_xorb(11)
    for xorb in (used, idle):
        setting.upload(xorb)
    file, content = made_file((used, 0, 20))
    setting.register(file)
    needed = {sha256(used.content), sha256(idle.content)}
    setting.now += 3 * WEEK
    assert setting.collecting.drop() == 0
    assert set(setting.collecting.needed()) == needed
    setting.now += 2 * WEEK
    assert setting.collecting.drop() == 1  # the idle one
    assert not setting.xet.xorbs.has(TENANT, to_text(idle.hash))
    assert set(setting.collecting.needed()) == {sha256(used.content)}
    assert setting.register(file) == 1  # a client that remembers sends a shard and nothing else: that is a use
    setting.collecting.forget(TENANT, [sha256(content)])
    assert setting.collecting.drop() == 0
    setting.now += 5 * WEEK
    assert setting.collecting.drop() == 1
    assert set(setting.collecting.needed()) == {sha256(used.content)}  # its recipe
    assert list(setting.collecting.recipes()) == [sha256(content)]
    setting.collecting.forget_recipes([sha256(content)])
    assert set(setting.collecting.needed()) == set()
    with pytest.raises(InvalidRequest):
        setting.register(file)


def test_a_lost_blob_is_asked_for_again(local: Setting) -> None:
    xorb = some_xorb(12)
    local.upload(xorb)
    path = local.blobs.path(sha256(xorb.content))
    path.unlink()
    file, _ = made_file((xorb, 0, 20))
    with pytest.raises(CratonError):
        local.register(file)
    local.upload(xorb)
    assert local.register(file) == 1


def test_a_machine_that_remembers_nothing_is_told_by_landmarks(local: Setting) -> None:
    first, second, apart = some_xorb(13), some_xorb(14), some_xorb(15)
    for xorb in (first, second, apart):
        local.upload(xorb)
    local.register(made_file((first, 4, 9), (second, 0, 20))[0])
    shard = local.xet.remembering.around(TENANT, to_text(first.hashes[4]))  # a file's first chunk is one
    assert first.hash in shard
    assert second.hash in shard
    assert apart.hash not in shard
    for hash in (to_text(first.hashes[5]), to_text(apart.hashes[0])):
        with pytest.raises(NotFound):
            local.xet.remembering.around(TENANT, hash)
    assert chunks.is_landmark(from_text("0" * 61 + "400"))
    assert not chunks.is_landmark(from_text("0" * 61 + "401"))
