"""What `Hub` does beside plain commits: settings, moves, copies, refs of all kinds, listeners; and how it is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from craton.core.errors import Conflict, InvalidRequest, NotFound, Stale
from craton.core.repo import Add, Copy, RepoId
from craton.hub.changes import Change, Configured, Created, Deleted, Moved, Updated
from craton.hub.collaboration.tables import likes
from craton.hub.contents import Contents
from craton.hub.counting import DAY, Downloads
from craton.hub.git import pointer, pointer_id
from craton.hub.reaching import Reaching
from craton.hub.repositories import HEAD, Hub
from craton.hub.searching import Search, Searching
from craton.hub.shelf import Shelf
from craton.store.schema import metadata

REPO, OTHER = RepoId("model", "acme", "bert"), RepoId("model", "acme", "gpt")
Adder = Callable[[str, str, bytes], Add]


@pytest.fixture
def heard() -> list[Change]:
    return []


@pytest.fixture
def telling(hub: Hub, heard: list[Change]) -> Hub:
    """The same hub, with a shelf and somebody who listens."""
    metadata.create_all(hub.database.engine, tables=[likes])
    shelf = Shelf(hub.database, hub.blobs)
    return Hub(hub.database, hub.blobs, lambda: 1_700_000_000.0, (shelf.hear, lambda _, change: heard.append(change)))


def test_a_first_commit_comes_with_the_repository(hub: Hub, add: Adder) -> None:
    made = hub.create("t", REPO, private=False, first=[add("t", "a", b"1")], author="me")
    assert (made.private, hub.get("t", REPO)) == (False, made)
    [commit] = hub.history("t", REPO)
    assert (commit.message, commit.author, commit.parent) == ("initial commit", "me", None)


def test_a_large_file_stands_in_the_tree_as_its_pointer(hub: Hub, add: Adder) -> None:
    file = add("t", "a", b"large")
    hub.create("t", REPO, first=[replace(file, large=True)])
    entry = hub.entry("t", REPO, "main", "a")
    assert (entry.large, entry.digest, entry.git_oid) == (True, file.digest, pointer_id(file.digest, 5))
    assert pointer(file.digest, 5) == (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + file.digest.encode() + b"\nsize 5\n"
    )


def test_whoever_commits_to_head_is_never_stale_and_others_are(hub: Hub, add: Adder) -> None:
    hub.create("t", REPO)
    first = hub.commit("t", REPO, "main", HEAD, [add("t", "a", b"1")], "m", "me")
    second = hub.commit("t", REPO, "main", HEAD, [add("t", "b", b"1")], "m", "me")
    assert (first.parent, second.parent) == (None, first.id)
    with pytest.raises(Stale):
        hub.commit("t", REPO, "main", first.id, [add("t", "c", b"1")], "m", "me")


def test_a_pull_requests_branch_begins_at_a_base(hub: Hub, add: Adder) -> None:
    base = hub.create("t", REPO, first=[add("t", "a", b"1")]) and hub.resolve("t", REPO)
    made = hub.commit("t", REPO, "refs/pr/1", None, [add("t", "b", b"2")], "m", "me", base="main")
    assert made.parent == base
    assert hub.resolve("t", REPO, "refs/pr/1") == made.id
    assert [entry.path for entry in hub.tree("t", REPO, "refs/pr/1")] == ["a", "b"]
    assert hub.resolve("t", REPO) == base
    hub.commit("t", REPO, "refs/convert/parquet", None, [add("t", "c", b"2")], "m", "me")
    assert {ref.full for ref in hub.refs("t", REPO)} == {"refs/heads/main", "refs/pr/1", "refs/convert/parquet"}
    with pytest.raises(NotFound):
        hub.resolve("t", REPO, "1")


def test_the_beginning_of_a_commits_id_stands_for_it(hub: Hub, add: Adder) -> None:
    hub.create("t", REPO, first=[add("t", "a", b"1")])
    head = hub.resolve("t", REPO)
    assert hub.resolve("t", REPO, head[:7]) == hub.resolve("t", REPO, head[:39]) == head
    for unknown in (head[:6], head[:7] + "g", "0" * 7 if head[:7] != "0" * 7 else "1" * 7):
        with pytest.raises(NotFound):
            hub.resolve("t", REPO, unknown)
    with pytest.raises(NotFound):
        hub.resolve("u", REPO, head[:7])


def test_files_are_copied_from_a_repository_that_may_be_read(hub: Hub, add: Adder) -> None:
    theirs = add("u", "w", b"weights")
    hub.create("u", OTHER, private=False, first=[replace(theirs, large=True)])
    hub.create("t", REPO)
    copy = Copy("mine", "w", "main", OTHER)
    with pytest.raises(NotFound):
        hub.commit("t", REPO, "main", HEAD, [copy], "m", "me")
    with pytest.raises(InvalidRequest):  # knowing its digest is not enough
        hub.commit("t", REPO, "main", HEAD, [Add("mine", theirs.digest, 7)], "m", "me")
    sources = {OTHER: Reaching(hub.database).reach("t", OTHER)}
    hub.commit("t", REPO, "main", HEAD, [copy], "m", "me", sources=sources)
    assert replace(hub.entry("t", REPO, "main", "mine"), path="w") == hub.entry("u", OTHER, "main", "w")
    hub.delete("u", OTHER)
    hub.commit("t", REPO, "main", HEAD, [Add("again", theirs.digest, 7)], "m", "me")  # it is theirs as well now
    with pytest.raises(NotFound):
        hub.commit("t", REPO, "main", HEAD, [Copy("x", "nope", "main")], "m", "me")


def test_a_squashed_branch_has_one_commit_of_the_same_tree(hub: Hub, add: Adder) -> None:
    hub.create("t", REPO, first=[add("t", "a", b"1")])
    hub.commit("t", REPO, "main", HEAD, [add("t", "b", b"2")], "m", "me")
    before = hub.tree("t", REPO)
    made = hub.squash("t", REPO, "main", "one", "me")
    assert (hub.history("t", REPO), hub.tree("t", REPO)) == ([made], before)


def test_a_moved_repository_keeps_its_old_name_until_it_is_taken(hub: Hub, add: Adder) -> None:
    hub.create("t", REPO, first=[add("t", "a", b"1")])
    hub.create("t", RepoId("model", "acme", "taken"))
    with pytest.raises(Conflict):
        hub.move("t", REPO, RepoId("model", "acme", "taken"))
    with pytest.raises(InvalidRequest):
        hub.move("t", REPO, RepoId("dataset", "acme", "x"))
    hub.move("t", REPO, OTHER)
    reaching = Reaching(hub.database)
    assert reaching.reach("t", REPO).repo == reaching.reach("t", OTHER).repo == OTHER
    with pytest.raises(NotFound):
        reaching.reach("u", REPO)
    hub.move("t", OTHER, REPO)
    assert reaching.reach("t", OTHER).repo == REPO
    hub.create("t", OTHER)
    assert reaching.reach("t", OTHER).repo == OTHER
    hub.delete("t", OTHER)
    with pytest.raises(NotFound):
        reaching.reach("t", OTHER)


def test_what_happens_is_told_and_an_objection_undoes_it(telling: Hub, add: Adder, heard: list[Change]) -> None:
    telling.create("t", REPO, first=[add("t", "a", b"1")], author="me")
    telling.configure("t", REPO, private=False, gated="auto")
    telling.configure("t", REPO, private=False)  # changes nothing
    telling.create_ref("t", REPO, "tag", "v1", "main")
    telling.delete_ref("t", REPO, "tag", "v1")
    telling.move("t", REPO, OTHER)
    telling.delete("t", OTHER)
    assert [type(change) for change in heard] == [Created, Updated, Configured, Updated, Updated, Moved, Deleted]
    made = heard[1]
    assert isinstance(made, Updated)
    assert [(ref.ref, ref.old, ref.author) for ref in made.refs] == [("refs/heads/main", None, "me")]
    configured = heard[2]
    assert isinstance(configured, Configured)
    assert (configured.place.private, configured.private, configured.gated) == (False, False, "auto")

    def object_to(*_: object) -> None:
        raise Conflict("change", "x", "no")

    objecting = Hub(telling.database, telling.blobs, lambda: 1.0, (object_to,))
    with pytest.raises(Conflict):
        objecting.create("t", REPO)
    with pytest.raises(NotFound):
        telling.get("t", REPO)


def test_repositories_are_found_by_what_their_cards_say(telling: Hub, add: Adder) -> None:
    day = [100 * DAY]
    counted = Downloads(telling.database, lambda: float(day[0]))
    searching = Searching(telling.database, counted)
    names = ("one", "two", "three_four")
    for number, name in enumerate(names):
        card = f"---\ntags: [n{number}, both]\npipeline_tag: fill-mask\n---\n".encode()
        telling.create("t", RepoId("model", "acme", name), first=[add("t", "README.md", card)])

    def found(tenant: str = "t", **asked: object) -> list[str]:
        return [it.repo.name for it in searching.search(tenant, Search("model", **asked))]  # type: ignore[arg-type]

    assert sorted(found()) == sorted(names)
    assert found(tags=("n1", "both")) == ["two"]
    assert found(tags=("n1", "n2")) == []
    assert len(found(pipeline="fill-mask")) == 3
    assert found(text="three_") == found(text="E_F") == ["three_four"]
    assert found(author="nobody") == found("u") == []
    reached = Reaching(telling.database).reach("t", RepoId("model", "acme", "two"))
    for _ in range(3):
        counted.count(reached)
    counted.flush()
    day[0] += 10 * DAY
    counted.count(reached)
    counted.flush()
    counted.flush()
    [two] = searching.search("t", Search("model", text="two", sort="downloads"))
    assert (two.downloads, two.all_downloads, two.trend, two.likes) == (4, 4, 1, 0)
    assert found(sort="downloads", limit=1) == ["two"]
    day[0] += 25 * DAY
    [two] = searching.search("t", Search("model", text="two"))
    assert (two.downloads, two.all_downloads) == (1, 4)
    for sort in ("created", "modified", "downloads", "likes", "trending"):
        for ascending in (False, True):
            pages, after = [], None
            while page := searching.search("t", Search("model", sort=sort, ascending=ascending, limit=1, after=after)):  # type: ignore[arg-type]
                pages += [it.repo.name for it in page]
                after = (page[-1].value, page[-1].id)
            assert sorted(pages) == sorted(names)
    telling.configure("t", RepoId("model", "acme", "one"), private=False)
    assert found("u") == ["one"]
    assert found("") == ["one"]


def test_cards_that_an_older_version_left_are_caught_up_with(hub: Hub, telling: Hub, add: Adder) -> None:
    hub.create("t", REPO, first=[add("t", "README.md", b"---\ntags: [old]\n---\n")])  # nobody listened
    shelf, searching = Shelf(hub.database, hub.blobs), Searching(hub.database, Downloads(hub.database, lambda: 0.0))
    assert searching.search("t", Search("model", tags=("old",))) == []
    assert shelf.catch_up() == 1
    assert shelf.catch_up() == 0
    assert [it.repo for it in searching.search("t", Search("model", tags=("old",)))] == [REPO]
    assert shelf.card("t", REPO, "main").tags == ("old",)


@pytest.mark.slow
def test_the_last_commit_of_a_path_is_the_one_that_changed_it(hub: Hub, add: Adder) -> None:
    """Against a plain search: the newest commit at which the path's entry differs from the one before."""
    hub.create("t", REPO)
    paths = ["a", "d/a", "d/b", "d/e/a", "f"]
    for number in range(30):
        path = paths[number * 7 % 5] if number % 3 else f"d/new{number}"
        hub.commit("t", REPO, "main", HEAD, [add("t", path, b"%d" % (number // 4))], f"m{number}", "me")
    history = hub.history("t", REPO)
    contents = Contents(hub.database)
    listing = contents.page("t", REPO, "main", recursive=True, commits=True)
    for item in listing.items:
        seen = [contents.items("t", REPO, commit.id, [item.path]).items for commit in history]
        expected = next(
            commit for commit, now, before in zip(history, seen, [*seen[1:], []], strict=True) if now != before
        )
        assert listing.commits[item.path] == expected, item.path


def test_letters_of_another_case_name_the_same_repository(hub: Hub) -> None:
    hub.create("t", REPO, private=False)
    other = RepoId("model", "Acme", "BERT")
    reaching = Reaching(hub.database)
    assert reaching.reach("t", other).repo == reaching.reach("u", other).repo == REPO
    for make in (lambda: hub.create("t", other), lambda: hub.move("t", hub.create("t", OTHER).repo, other)):
        with pytest.raises(Conflict):
            make()
    hub.create("u", other)
    assert reaching.reach("u", other).repo == other
    assert reaching.reach("u", REPO).repo == REPO  # exactly that one first
    hub.move("t", REPO, other)
    assert reaching.reach("t", REPO).repo == other
