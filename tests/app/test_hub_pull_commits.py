"""Commits that open pull requests, and commits to their refs, with the stock client, by two tenants."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError

from tests.app.collaborating import Company, company


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with company(tmp_path_factory.mktemp("pulls") / "home") as running:
        yield running


def add(path: str, content: bytes) -> CommitOperationAdd:
    return CommitOperationAdd(path_in_repo=path, path_or_fileobj=content)


def test_another_tenants_commit_opens_a_request_that_the_owner_merges(firm: Company) -> None:
    repo = firm.repo(files={"README.md": b"hello\n", "old.txt": b"old\n"})
    made = firm.bob.create_commit(
        repo.path,
        [add("new.txt", b"new\n"), add("large.safetensors", b"\0" * 3_000_000), CommitOperationDelete("old.txt")],
        commit_message="Make it better",
        commit_description="In three ways",
        create_pr=True,
    )
    assert (made.pr_num, made.pr_revision) == (1, "refs/pr/1")
    found = firm.alice.get_discussion_details(repo.path, 1)
    assert (found.author, found.title, found.status, found.target_branch) == (
        "bob",
        "Make it better",
        "open",
        "refs/heads/main",
    )
    assert [event.type for event in found.events] == ["comment", "commit"]
    assert "+new" in (found.diff or "")
    assert "-old" in (found.diff or "")
    again = firm.bob.create_commit(repo.path, [add("more.txt", b"more\n")], commit_message="More", revision="refs/pr/1")
    assert firm.alice.get_discussion_details(repo.path, 1).events[-1]._event["data"]["oid"] == again.oid
    firm.alice.merge_pull_request(repo.path, 1)
    paths = [entry.path for entry in firm.platform.hub.tree("alice", repo)]
    assert paths == ["README.md", "large.safetensors", "more.txt", "new.txt"]
    with pytest.raises(HfHubHTTPError) as merged:
        firm.bob.create_commit(repo.path, [add("x", b"x")], commit_message="Late", revision="refs/pr/1")
    assert merged.value.response.status_code == 409


def test_others_write_nowhere_else(firm: Company) -> None:
    repo = firm.repo()
    hers = firm.alice.create_pull_request(repo.path, "Of alice")
    for revision in ("main", hers.git_reference, "refs/pr/9"):
        with pytest.raises(HfHubHTTPError) as refused:
            firm.bob.create_commit(repo.path, [add("x", b"x")], commit_message="Mine", revision=revision)
        assert refused.value.response.status_code in (403, 404)
    assert [entry.path for entry in firm.platform.hub.tree("alice", repo, "refs/pr/1")] == ["README.md"]
    private = firm.repo(private=True)
    with pytest.raises(HfHubHTTPError) as hidden:
        firm.bob.create_commit(private.path, [add("x", b"x")], commit_message="In", create_pr=True)
    assert hidden.value.response.status_code == 404


def test_a_request_is_for_a_branch_that_is_there(firm: Company) -> None:
    repo = firm.repo()
    firm.platform.hub.create_ref("alice", repo, "branch", "dev", "main")
    made = firm.alice.create_commit(
        repo.path, [add("x", b"x")], commit_message="For dev", revision="dev", create_pr=True
    )
    assert firm.alice.get_discussion_details(repo.path, made.pr_num or 0).target_branch == "refs/heads/dev"
    for revision in ("absent", firm.platform.hub.resolve("alice", repo, "main")):
        with pytest.raises(RevisionNotFoundError):
            firm.alice.create_commit(
                repo.path, [add("y", b"y")], commit_message="For none", revision=revision, create_pr=True
            )
