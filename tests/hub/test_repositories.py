"""Laws of the hub: commits, refs, tenants."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from craton.core.errors import Conflict, Damaged, InvalidRequest, NotFound
from craton.core.repo import Add, Copy, Delete, Operation, RepoId
from craton.hub import tables
from craton.hub.git import pointer_id
from craton.hub.repositories import HEAD, Hub

REPO = RepoId("model", "acme", "net")
Adder = Callable[[str, str, bytes], Add]


def test_a_repository_exists_from_create_to_delete(hub: Hub, add: Adder) -> None:
    hub.create("t", REPO)
    assert hub.get("t", REPO).created == 1_700_000_000.0
    assert [found.repo for found in hub.repositories("t", "model")] == [REPO]
    assert hub.repositories("t", "dataset") == []
    with pytest.raises(Conflict):
        hub.create("t", REPO)
    hub.commit("t", REPO, "main", None, [add("t", "a", b"1")], "m", "me")
    hub.delete("t", REPO)
    with pytest.raises(NotFound):
        hub.get("t", REPO)
    hub.create("t", REPO)
    with pytest.raises(NotFound):
        hub.tree("t", REPO)


def test_a_bad_repository_name_is_refused(hub: Hub) -> None:
    for name in ["", ".", "..", "a..b", ".hidden", "a/b", "a\\b", "a b", "x.git", "a\0", "ä", "n" * 97, "-a"]:
        with pytest.raises(InvalidRequest):
            hub.create("t", RepoId("model", "acme", name))
        with pytest.raises(InvalidRequest):
            hub.create("t", RepoId("model", name, "net"))


def test_a_namespace_that_the_router_uses_is_refused(hub: Hub) -> None:
    with pytest.raises(InvalidRequest):
        hub.create("t", RepoId("model", "API", "net"))


def test_what_was_committed_is_read_back(hub: Hub, add: Adder) -> None:
    hub.create("t", REPO)
    revision = hub.commit(
        "t", REPO, "main", None, [add("t", "b/c.txt", b"deep"), add("t", "a.txt", b"hello")], "m", "me"
    )
    assert [(entry.path, entry.size) for entry in hub.tree("t", REPO)] == [("a.txt", 5), ("b/c.txt", 4)]
    entry = hub.entry("t", REPO, revision.id, "b/c.txt")
    assert b"".join(hub.blobs.read(entry.digest)) == b"deep"
    assert hub.resolve("t", REPO, "main") == revision.id
    for absent in ("b", "b/d", "x", "a.txt/b", "", "../a.txt"):
        with pytest.raises(NotFound):
            hub.entry("t", REPO, "main", absent)


def test_history_goes_from_new_to_old(hub: Hub, add: Adder) -> None:
    hub.create("t", REPO)
    made, parent = [], None
    for number in range(5):
        revision = hub.commit("t", REPO, "main", parent, [add("t", "f", b"%d" % number)], f"m{number}", "me")
        made.append(revision)
        parent = revision.id
    assert hub.history("t", REPO) == made[::-1]
    assert hub.history("t", REPO, made[3].id, offset=1, limit=2) == [made[2], made[1]]


HOSTILE = ["../a", "a/../b", ".", "a/.", "a\\b", "a\0b", "a\nb", "\x7f", "\ud800", ".git/config", "a/.GIT/x"]
MALFORMED = ["", "/", "/a", "a/", "a//b", "x" * 256, "/".join("a" * 65), "/".join(["é" * 100] * 6)]


def test_a_bad_path_is_refused(hub: Hub, add: Adder) -> None:
    hub.create("t", REPO)
    good = add("t", "a", b"1")
    for path in HOSTILE + MALFORMED:
        with pytest.raises(InvalidRequest):
            hub.commit("t", REPO, "main", None, [Add(path, good.digest, 1)], "m", "me")
        with pytest.raises(NotFound):
            hub.resolve("t", REPO)


def test_a_file_and_a_folder_cannot_share_a_path(hub: Hub, add: Adder) -> None:
    hub.create("t", REPO)
    for paths in (["a", "a/b"], ["a/b", "a"]):
        with pytest.raises(InvalidRequest):
            hub.commit("t", REPO, "main", None, [add("t", path, b"1") for path in paths], "m", "me")


def test_a_commit_of_bytes_that_were_not_stored_is_refused(hub: Hub, add: Adder) -> None:
    hub.create("t", REPO)
    with pytest.raises(InvalidRequest):
        hub.commit("t", REPO, "main", None, [Add("a", "0" * 64, 1)], "m", "me")
    wrong_size = add("t", "a", b"1")
    with pytest.raises(InvalidRequest):
        hub.commit("t", REPO, "main", None, [Add("a", wrong_size.digest, 2)], "m", "me")


def test_knowing_a_digest_does_not_grant_another_tenants_bytes(hub: Hub, add: Adder) -> None:
    hub.create("spy", REPO)
    secret = add("owner", "a", b"secret")
    with pytest.raises(InvalidRequest):
        hub.commit("spy", REPO, "main", None, [secret], "m", "me")


def test_a_stream_of_another_size_or_hash_is_refused(hub: Hub) -> None:
    for size in (1, 3):
        with pytest.raises(Damaged):
            hub.store("t", [b"ab"], size)
    with pytest.raises(Damaged):
        hub.store("t", [b"ab"], 2, expected="0" * 64)


def test_a_stale_parent_is_refused(hub: Hub, add: Adder) -> None:
    hub.create("t", REPO)
    first = hub.commit("t", REPO, "main", None, [add("t", "a", b"1")], "m", "me")
    second = hub.commit("t", REPO, "main", first.id, [add("t", "a", b"2")], "m", "me")
    for stale in (None, first.id, "0" * 40):
        with pytest.raises(Conflict):
            hub.commit("t", REPO, "main", stale, [add("t", "a", b"3")], "m", "me")
    assert hub.resolve("t", REPO) == second.id


def test_of_many_committers_with_one_parent_exactly_one_wins(hub: Hub, add: Adder) -> None:
    hub.create("t", REPO)
    parent = hub.commit("t", REPO, "main", None, [add("t", "a", b"1")], "m", "me").id
    changes = [add("t", "a", b"by %d" % number) for number in range(6)]
    start, outcomes = threading.Barrier(6), []

    def work(change: Add) -> None:
        start.wait()
        try:
            outcomes.append(hub.commit("t", REPO, "main", parent, [change], "m", "me").id)
        except Conflict as conflict:
            outcomes.append(conflict)

    threads = [threading.Thread(target=work, args=(change,)) for change in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    winners = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert len(outcomes) == 6
    assert winners == [hub.resolve("t", REPO)]
    assert len(hub.history("t", REPO)) == 2


def _calls(hub: Hub, add: Adder, tenant: str, revision: str) -> list[Callable[[], object]]:
    mine = add(tenant, "x", b"mine")
    return [
        lambda: hub.get(tenant, REPO),
        lambda: hub.delete(tenant, REPO),
        lambda: hub.commit(tenant, REPO, "main", revision, [mine], "m", "me"),
        lambda: hub.refs(tenant, REPO),
        lambda: hub.create_ref(tenant, REPO, "tag", "v1", revision),
        lambda: hub.delete_ref(tenant, REPO, "branch", "main"),
        lambda: hub.resolve(tenant, REPO, revision),
        lambda: hub.tree(tenant, REPO),
        lambda: hub.entry(tenant, REPO, "main", "a"),
        lambda: hub.history(tenant, REPO),
    ]


def test_another_tenants_repository_looks_absent(hub: Hub, add: Adder) -> None:
    hub.create("owner", REPO)
    revision = hub.commit("owner", REPO, "main", None, [add("owner", "a", b"1")], "m", "me").id

    def outcome(call: Callable[[], object]) -> str:
        with pytest.raises(NotFound) as error:
            call()
        return str(error.value)

    foreign = [outcome(call) for call in _calls(hub, add, "other", revision)]
    hub.delete("owner", REPO)
    absent = [outcome(call) for call in _calls(hub, add, "other", revision)]
    assert foreign == absent
    assert hub.repositories("other") == []


def test_two_tenants_have_repositories_of_one_name(hub: Hub, add: Adder) -> None:
    for tenant in ("a", "b"):
        hub.create(tenant, REPO)
        hub.commit(tenant, REPO, "main", None, [add(tenant, "f", tenant.encode())], "m", "me")
    hub.delete("a", REPO)
    assert [entry.path for entry in hub.tree("b", REPO)] == ["f"]


def test_a_revision_of_another_repository_is_not_found(hub: Hub, add: Adder) -> None:
    other = RepoId("model", "acme", "other")
    hub.create("t", REPO)
    hub.create("t", other)
    revision = hub.commit("t", REPO, "main", None, [add("t", "a", b"1")], "m", "me").id
    with pytest.raises(NotFound):
        hub.tree("t", other, revision)
    with pytest.raises(NotFound):
        hub.commit("t", other, "main", None, [Copy("b", "a", revision)], "m", "me")


def test_branches_and_tags_keep_their_revisions(hub: Hub, add: Adder) -> None:
    hub.create("t", REPO)
    first = hub.commit("t", REPO, "main", None, [add("t", "a", b"1")], "m", "me").id
    hub.create_ref("t", REPO, "tag", "v1", "main")
    hub.create_ref("t", REPO, "branch", "side", first)
    second = hub.commit("t", REPO, "main", first, [add("t", "a", b"2")], "m", "me").id
    side = hub.commit("t", REPO, "side", first, [Delete("a")], "m", "me").id
    assert [(ref.name, ref.revision) for ref in hub.refs("t", REPO)] == [
        ("main", second),
        ("side", side),
        ("v1", first),
    ]
    assert hub.resolve("t", REPO, "v1") == hub.resolve("t", REPO, "refs/tags/v1") == first
    assert hub.tree("t", REPO, "refs/heads/side") == []
    with pytest.raises(Conflict):
        hub.create_ref("t", REPO, "tag", "v1", "main")
    hub.delete_ref("t", REPO, "tag", "v1")
    with pytest.raises(NotFound):
        hub.resolve("t", REPO, "v1")


def test_a_bad_ref_name_is_refused(hub: Hub, add: Adder) -> None:
    hub.create("t", REPO)
    unknown = ["refs/x", "refs/pr/0", "refs/tags/v1"]
    for name in ["", "a b", "../x", "a//b", "0" * 40, "a.lock", "a/", "x" * 256, "a\0", *unknown]:
        with pytest.raises(InvalidRequest):
            hub.commit("t", REPO, name, None, [add("t", "a", b"1")], "m", "me")


def _lookups(hub: Hub, parent: str, name: str) -> list[Callable[[], object]]:
    return [
        lambda: hub.tree("t", RepoId("model", "acme", name)),
        lambda: hub.tree("t", REPO, name),
        lambda: hub.entry("t", REPO, "main", name),
        lambda: hub.delete_ref("t", REPO, "branch", name),
        lambda: hub.commit("t", REPO, "main", parent, [Copy("b", "a", name)], "m", "me"),
    ]


def test_an_impossible_name_is_simply_not_found(hub: Hub, add: Adder) -> None:
    hub.create("t", REPO)
    parent = hub.commit("t", REPO, "main", None, [add("t", "a", b"1")], "m", "me").id
    for name in ["x\0", "\ud800", "a b", "refs/heads/\0", "refs/tags/", "../main"]:
        for lookup in _lookups(hub, parent, name):
            with pytest.raises(NotFound):
                lookup()
        with pytest.raises(InvalidRequest):
            hub.commit("t", REPO, "main", parent, [Add("b", name, 1)], "m", "me")


def test_a_bad_message_is_refused(hub: Hub, add: Adder) -> None:
    hub.create("t", REPO)
    for message in ["a\0b", "\ud800", "x" * 70_000]:
        with pytest.raises(InvalidRequest):
            hub.commit("t", REPO, "main", None, [add("t", "a", b"1")], message, "me")


def test_deleting_what_is_not_there_is_not_found(hub: Hub, add: Adder) -> None:
    hub.create("t", REPO)
    parent = hub.commit("t", REPO, "main", None, [add("t", "a/b", b"1")], "m", "me").id
    for path in ("b", "b/", "a/b/", "a/c"):
        with pytest.raises(NotFound):
            hub.commit("t", REPO, "main", parent, [Delete(path)], "m", "me")


def test_a_folder_is_deleted_with_or_without_a_slash(hub: Hub, add: Adder) -> None:
    """Stock clients write a folder either way. A file and a folder of one name cannot be, so nothing else is meant."""
    hub.create("t", REPO)
    parent: str | None = None
    for path in ("a", "a/"):
        adds = [add("t", "a/b/c", b"1"), add("t", "a/d", b"2"), add("t", "e", b"3")]
        parent = hub.commit("t", REPO, "main", parent, adds, "m", "me").id
        parent = hub.commit("t", REPO, "main", parent, [Delete(path)], "m", "me").id
        assert [entry.path for entry in hub.tree("t", REPO)] == ["e"]


def test_ids_are_those_that_git_gives(hub: Hub, add: Adder, tmp_path: Path) -> None:
    files = {"a.txt": b"hello\n", "a/z": b"", "a-b": b"x" * 1000, "a/b/c.bin": b"\0\1", "ü.txt": b"u"}
    hub.create("t", REPO)
    operations = [add("t", path, content) for path, content in files.items()]
    revision = hub.commit("t", REPO, "main", None, operations, "The message\n\nand more", "Some One")
    work = tmp_path / "work"
    for path, content in files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_bytes(content)
    who = {"NAME": "Some One", "EMAIL": "", "DATE": "1700000000 +0000"}
    environment = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    environment |= {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=work, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "The message\n\nand more")
    assert revision.id == git("rev-parse", "HEAD")
    assert hub.entry("t", REPO, "main", "a/b/c.bin").git_oid == git("rev-parse", "HEAD:a/b/c.bin")


def test_what_came_as_a_large_file_gets_gits_id_when_a_commit_keeps_its_bytes_in_git(hub: Hub) -> None:
    hub.create("t", REPO)
    stored = hub.store("t", [b"hel", b"lo\n"], 6, large=True)
    assert stored.git_oid == ""
    for large, oid in ((False, "ce013625030ba8dba906f756967f9e9ca394464a"), (True, pointer_id(stored.digest, 6))):
        hub.commit("t", REPO, "main", HEAD, [Add("a", stored.digest, 6, large)], "m", "me")
        assert hub.entry("t", REPO, "main", "a").git_oid == oid


def test_a_small_change_to_a_big_folder_stores_little(hub: Hub, add: Adder) -> None:
    hub.create("t", REPO)
    content = add("t", "x", b"1")
    names = [f"part-{number:05}.parquet" for number in range(5_000)]
    parent = hub.commit("t", REPO, "main", None, [Add(name, content.digest, 1) for name in names], "m", "me").id

    def stored() -> int:
        with hub.database.read() as connection:
            return connection.scalar(select(func.sum(func.length(tables.objects.c.content)))) or 0

    whole = stored()
    changed = add("t", "part-02500.parquet", b"2")
    hub.commit("t", REPO, "main", parent, [changed, Add("part-02500-new", content.digest, 1)], "m", "me")
    assert stored() - whole < whole / 10
    assert len(hub.tree("t", REPO)) == 5_001
    assert hub.entry("t", REPO, "main", "part-02500.parquet").digest == changed.digest


_names = st.sampled_from(["a", "b", "c", "dir/a", "dir/b", "dir/sub/a", "other/a"])
_steps = st.lists(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), _names, st.binary(max_size=3)),
            st.tuples(st.just("copy"), _names, _names),
            st.tuples(st.just("delete"), st.one_of(_names, st.sampled_from(["dir/", "dir/sub/", "other/"]))),
        ),
        min_size=1,
        max_size=4,
    ),
    max_size=6,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_steps)
def test_commits_behave_like_a_plain_dict(
    hub: Hub, add: Adder, empty: Callable[[], None], steps: list[list[tuple]]
) -> None:
    """Random operations, applied to the hub and to a dict; a failing commit changes nothing in either."""
    empty()
    hub.create("t", REPO)
    model: dict[str, bytes] = {}
    past: dict[str, dict[str, bytes]] = {}
    head: str | None = None
    for step in steps:
        wanted: dict[str, bytes] | None = dict(model)
        operations: list[Operation] = []
        for kind, path, *rest in step:
            if kind == "add":
                operations.append(add("t", path, rest[0]))
                if wanted is not None:
                    wanted[path] = rest[0]
            elif kind == "copy":
                operations.append(Copy(path, rest[0], head or "0" * 40))
                if wanted is not None and rest[0] in model:
                    wanted[path] = model[rest[0]]
                else:
                    wanted = None
            else:
                operations.append(Delete(path))
                gone = (
                    []
                    if wanted is None
                    else [n for n in wanted if n == path or (path[-1] == "/" and n.startswith(path))]
                )
                wanted = None if wanted is None or not gone else {n: c for n, c in wanted.items() if n not in gone}
        if wanted is None:
            with pytest.raises(NotFound):
                hub.commit("t", REPO, "main", head, operations, "m", "me")
        else:
            head = hub.commit("t", REPO, "main", head, operations, "m", "me").id
            model = wanted
            past[head] = wanted
    for revision, files in past.items():
        read = {e.path: b"".join(hub.blobs.read(e.digest)) for e in hub.tree("t", REPO, revision)}
        assert read == files
        assert all(hub.entry("t", REPO, revision, path).size == len(content) for path, content in files.items())
