"""A tenant stores what it may, counted once, refused before the bytes are taken in."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import pytest

from craton.core.errors import QuotaExceeded, TooLarge
from craton.core.repo import Copy, RepoId
from craton.formats.xet.hashes import to_text
from craton.hub.keeping.quotas import Quotas
from craton.hub.reaching import Reaching
from craton.store.database import Database
from tests.formats.xet_makers import MadeXorb
from tests.hub.keeping.conftest import REPO, World
from tests.migrated import upgrade


def test_files_count_once_however_often_they_come(world: World) -> None:
    world.hub.create("red", REPO)
    world.add("red", b"x" * 100, "a.bin")
    world.add("red", b"x" * 100, "b.bin")
    list(world.hub.store_small("red", [b"y" * 30, b"z" * 20, b"y" * 30]))
    usage = world.quotas.usage("red")
    assert (usage.bytes, usage.files, usage.quota) == (150, 3, None)
    assert world.quotas.recount("red") == usage
    assert world.quotas.usage("blue").bytes == 0


def test_too_much_is_refused_before_a_byte_is_read_and_leaves_nothing(world: World) -> None:
    world.quotas.configure({"": 1000, "rich": 5000})
    world.hub.store("red", [b"x" * 900], 900)

    def untouched() -> Iterator[bytes]:
        raise AssertionError("the stream was read")
        yield b""

    with pytest.raises(QuotaExceeded) as raised:
        world.hub.store("red", untouched(), 101)
    assert (raised.value.limit, raised.value.actual) == (1000, 1001)
    assert isinstance(raised.value, TooLarge), "dialects word it"
    assert world.hub.store("red", [b"x" * 900], 900, sha256(b"x" * 900).hexdigest()).size == 900
    world.hub.store("red", [b"y" * 100], 100)
    with pytest.raises(QuotaExceeded):
        list(world.hub.store_small("red", [b"one more"]))
    assert world.hub.store("rich", [b"z" * 4000], 4000).size == 4000
    world.quotas.configure({})
    assert world.hub.store("red", [b"z" * 4000], 4000).size == 4000


def test_chunks_have_the_same_limit_of_their_own(world: World) -> None:
    world.quotas.configure({"red": 100_000})
    xorb = MadeXorb([bytes([number]) * 2000 for number in range(20)])
    assert world.xet.xorbs.add("red", to_text(xorb.hash), [xorb.content])
    assert not world.xet.xorbs.add("red", to_text(xorb.hash), [xorb.content])
    assert 0 < world.quotas.usage("red").xorbs <= 100_000
    assert world.quotas.recount("red") == world.quotas.usage("red")


def test_what_is_taken_over_from_another_repository_counts(world: World) -> None:
    world.hub.create("red", REPO, private=False)
    world.add("red", b"x" * 500, "a.bin")
    other = RepoId("model", "blue", "mine")
    world.hub.create("blue", other)
    reached = Reaching(world.database).reach("blue", REPO)
    world.quotas.configure({"blue": 400})
    copy = Copy("copied.bin", "a.bin", "main", REPO)
    with pytest.raises(QuotaExceeded):
        world.hub.commit("blue", other, "main", None, [copy], "copy", "blue", sources={REPO: reached})
    world.quotas.configure({"blue": 500})
    world.hub.commit("blue", other, "main", None, [copy], "copy", "blue", sources={REPO: reached})
    assert world.quotas.usage("blue").bytes == 500


def test_an_older_database_is_counted_when_it_is_upgraded(database: Database) -> None:
    upgrade(database)
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM hub_usage")
        connection.exec_driver_sql(
            "INSERT INTO hub_stored (tenant, digest, size, git_oid) VALUES ('red', 'd', 70, 'o'), ('red', 'e', 5, 'p')"
        )
    assert Quotas(database).recount("red").bytes == 75
