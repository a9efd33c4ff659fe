"""Discussions and pull requests with the stock client, by two tenants."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub.community import DiscussionComment, DiscussionCommit, DiscussionStatusChange
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

from craton.core.repo import Delete
from tests.app.collaborating import Company, company


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with company(tmp_path_factory.mktemp("discussions") / "home") as running:
        yield running


def status_of(error: pytest.ExceptionInfo[HfHubHTTPError]) -> int:
    return error.value.response.status_code


def test_a_discussion_has_its_number_its_author_and_its_first_comment(firm: Company) -> None:
    repo = firm.repo().path
    first = firm.bob.create_discussion(repo, "  It does not load  ", description="How do I load it? <b>🤗</b>")
    assert (first.num, first.author, first.title, first.status) == (1, "bob", "It does not load", "open")
    assert (first.is_pull_request, first.repo_id, first.repo_type) == (False, repo, "model")
    [comment] = first.events
    assert isinstance(comment, DiscussionComment)
    assert (comment.content, comment.edited, comment.hidden) == ("How do I load it? <b>🤗</b>", False, False)
    assert "<b>" not in comment.rendered
    assert firm.alice.create_discussion(repo, "Another").num == 2
    assert firm.alice.get_discussion_details(repo, 1) == first


def test_discussions_are_listed_newest_first_and_filtered(firm: Company) -> None:
    repo = firm.repo().path
    pull = firm.bob.create_pull_request(repo, "A change").num
    talk = firm.alice.create_discussion(repo, "A question").num
    firm.alice.change_discussion_status(repo, talk, "closed")

    def numbers(**filters: str) -> list[int]:
        return [it.num for it in firm.alice.get_repo_discussions(repo, **filters)]  # type: ignore[arg-type]

    assert numbers() == [talk, pull]
    assert numbers(discussion_type="pull_request") == [pull]
    assert numbers(discussion_type="discussion") == [talk]
    assert numbers(discussion_status="open") == [pull]  # a draft is open
    assert numbers(discussion_status="closed") == [talk]
    assert numbers(author="bob") == [pull]
    assert numbers(author="nobody") == []


def test_more_discussions_than_a_page_holds_are_all_listed(firm: Company) -> None:
    repo = firm.repo().path
    with firm.server.client() as client:
        client.headers["authorization"] = f"Bearer {firm.alice.token}"
        for number in range(53):
            body = {"title": f"Question {number}", "description": "?"}
            client.post(f"/api/models/{repo}/discussions", json=body).raise_for_status()
    assert [it.num for it in firm.bob.get_repo_discussions(repo)] == list(range(53, 0, -1))


def test_a_comment_is_edited_by_its_author_and_hidden_by_the_owner_for_good(firm: Company) -> None:
    repo = firm.repo().path
    number = firm.bob.create_discussion(repo, "A question").num
    comment = firm.bob.comment_discussion(repo, number, "frist")
    with pytest.raises(HfHubHTTPError) as refused:
        firm.alice.edit_discussion_comment(repo, number, comment.id, "her words")
    assert status_of(refused) == 403
    edited = firm.bob.edit_discussion_comment(repo, number, comment.id, "first")
    assert (edited.content, edited.edited, edited.number_of_edits) == ("first", True, 1)
    assert edited.edit_history[0]["raw"] == "frist"
    with pytest.warns(UserWarning, match="cannot be retrieved"):
        hidden = firm.alice.hide_discussion_comment(repo, number, comment.id)
    assert (hidden.hidden, hidden.content) == (True, "")
    assert "first" not in str(firm.alice.get_discussion_details(repo, number).events[1]._event)
    with pytest.raises(HfHubHTTPError) as gone:
        firm.bob.edit_discussion_comment(repo, number, comment.id, "again")
    assert status_of(gone) == 409


def test_the_owner_and_the_author_rename_and_close_others_do_not(firm: Company) -> None:
    repo = firm.repo().path
    hers = firm.alice.create_discussion(repo, "Of alice").num
    his = firm.bob.create_discussion(repo, "Of bob").num
    for change in (
        lambda: firm.bob.rename_discussion(repo, hers, "Taken over"),
        lambda: firm.bob.change_discussion_status(repo, hers, "closed"),
    ):
        with pytest.raises(HfHubHTTPError) as refused:
            change()
        assert status_of(refused) == 403
    renamed = firm.bob.rename_discussion(repo, his, "A better title")
    assert (renamed.old_title, renamed.new_title) == ("Of bob", "A better title")
    closed = firm.alice.change_discussion_status(repo, his, "closed", comment="Answered elsewhere")
    assert closed.new_status == "closed"
    found = firm.bob.get_discussion_details(repo, his)
    assert (found.title, found.status) == ("A better title", "closed")
    assert [event.type for event in found.events] == ["comment", "title-change", "comment", "status-change"]
    assert firm.bob.change_discussion_status(repo, his, "open").new_status == "open"


@pytest.mark.parametrize(
    ("title", "text", "status"),
    [("ab", "?", 400), ("x" * 201, "?", 400), ("two\nlines", "?", 400), ("fine", "x" * 70_000, 413)],
)
def test_what_is_no_title_or_text_is_refused(firm: Company, title: str, text: str, status: int) -> None:
    with pytest.raises(HfHubHTTPError) as refused:
        firm.alice.create_discussion(firm.repo().path, title, description=text)
    assert status_of(refused) == status


def test_what_is_private_or_not_there_looks_the_same(firm: Company) -> None:
    repo = firm.repo(private=True).path
    number = firm.alice.create_discussion(repo, "Among us").num
    for name in (repo, "alice/absent"):
        with pytest.raises(RepositoryNotFoundError):
            firm.bob.get_discussion_details(name, number)
        with pytest.raises(RepositoryNotFoundError):
            firm.bob.create_discussion(name, "Let me in")
        with pytest.raises(RepositoryNotFoundError):
            firm.bob.create_pull_request(name, "Let me in")


def test_discussions_of_a_gated_repository_are_for_those_let_in(firm: Company) -> None:
    repo = firm.repo(gated="manual").path
    number = firm.alice.create_pull_request(repo, "Of its files").num
    with pytest.raises(GatedRepoError):
        firm.bob.get_discussion_details(repo, number)
    firm.alice.grant_access(repo, "bob")
    assert firm.bob.get_discussion_details(repo, number).title == "Of its files"


def test_a_deleted_repository_takes_its_discussions_along(firm: Company) -> None:
    repo = firm.repo()
    firm.bob.create_discussion(repo.path, "Before")
    firm.platform.hub.delete("alice", repo)
    firm.platform.hub.create("alice", repo, private=False)
    assert list(firm.bob.get_repo_discussions(repo.path)) == []


# --- pull requests -------------------------------------------------------------------------------------------------


def test_a_pull_request_is_a_draft_with_a_ref_of_its_own(firm: Company) -> None:
    repo = firm.repo()
    pull = firm.bob.create_pull_request(repo.path, "My change")
    assert (pull.status, pull.git_reference, pull.target_branch) == ("draft", "refs/pr/1", "refs/heads/main")
    assert (pull.conflicting_files, pull.diff, pull.merge_commit_oid) == ([], "", None)
    head = firm.platform.hub.resolve("alice", repo, "main")
    assert firm.platform.hub.resolve("alice", repo, "refs/pr/1") == head


def test_a_merge_is_one_commit_of_what_the_request_changed(firm: Company) -> None:
    repo = firm.repo(files={"README.md": b"hello\n", "old.txt": b"old\n"})
    number = firm.bob.create_pull_request(repo.path, "Say more").num
    first = firm.commit(repo, "refs/pr/1", firm.add("alice", "README.md", b"hello\nworld\n"), message="More\n\nWords")
    firm.commit(repo, "refs/pr/1", Delete("old.txt"), firm.add("alice", "data/new.bin", b"\0\1"))
    firm.commit(repo, "main", firm.add("alice", "other.txt", b"meanwhile\n"))
    pushed = firm.bob.get_discussion_details(repo.path, number).events[1]
    assert isinstance(pushed, DiscussionCommit)
    assert (pushed.oid, pushed.summary) == (first.id, "More")

    with pytest.raises(HfHubHTTPError) as draft:
        firm.alice.merge_pull_request(repo.path, number)
    assert status_of(draft) == 409
    firm.bob.change_discussion_status(repo.path, number, "open")
    with pytest.raises(HfHubHTTPError) as refused:
        firm.bob.merge_pull_request(repo.path, number)
    assert status_of(refused) == 403
    firm.alice.merge_pull_request(repo.path, number, comment="Thank you")

    found = firm.bob.get_discussion_details(repo.path, number)
    newest, before, *_ = firm.platform.hub.history("alice", repo)
    assert (found.status, found.merge_commit_oid) == ("merged", newest.id)
    assert (newest.message, newest.parent) == (f"Say more (#{number})", before.id)
    assert isinstance(found.events[-1], DiscussionStatusChange)
    assert found.events[-1].new_status == "merged"
    paths = [entry.path for entry in firm.platform.hub.tree("alice", repo)]
    assert paths == ["README.md", "data/new.bin", "other.txt"]
    for change in (
        lambda: firm.alice.merge_pull_request(repo.path, number),
        lambda: firm.alice.change_discussion_status(repo.path, number, "open"),
    ):
        with pytest.raises(HfHubHTTPError) as again:
            change()
        assert status_of(again) == 409


def test_conflicts_are_named_and_not_merged_until_they_are_gone(firm: Company) -> None:
    repo = firm.repo(files={"README.md": b"hello\n", "same.txt": b"1\n"})
    number = firm.alice.create_pull_request(repo.path, "Rivals").num
    firm.alice.change_discussion_status(repo.path, number, "open")
    theirs = [firm.add("alice", "README.md", b"hers\n"), firm.add("alice", "same.txt", b"2\n")]
    firm.commit(repo, "refs/pr/1", *theirs, firm.add("alice", "a", b"a file"))
    firm.commit(repo, "main", firm.add("alice", "README.md", b"ours\n"), firm.add("alice", "same.txt", b"2\n"))
    main = firm.commit(repo, "main", firm.add("alice", "a/b", b"in a folder")).id
    assert firm.alice.get_discussion_details(repo.path, number).conflicting_files == ["README.md", "a"]
    with pytest.raises(HfHubHTTPError, match=r"README\.md") as refused:
        firm.alice.merge_pull_request(repo.path, number)
    assert status_of(refused) == 409
    assert firm.platform.hub.resolve("alice", repo, "main") == main
    firm.commit(repo, "refs/pr/1", firm.add("alice", "README.md", b"ours\n"), Delete("a"), firm.add("alice", "c", b"c"))
    firm.alice.merge_pull_request(repo.path, number)
    assert [it.path for it in firm.platform.hub.tree("alice", repo)] == ["README.md", "a/b", "c", "same.txt"]


def test_git_applies_the_diff(firm: Company, tmp_path: Path) -> None:
    before = {
        "README.md": "".join(f"line {number}\n" for number in range(40)).encode(),
        "gone.txt": b"gone\n",
        "no end.txt": b"a\nb",
        "weights.bin": b"\0" * 10,
    }
    after = {
        "README.md": before["README.md"].replace(b"line 3\n", b"").replace(b"line 30\n", b"line 30\nmore\n"),
        "no end.txt": b"a\nc",
        "dir/née.txt": "größer\n".encode(),
        "empty.txt": b"",
        "one.txt": b"no end",
    }
    repo = firm.repo(files=before)
    number = firm.alice.create_pull_request(repo.path, "Much").num
    changes = [firm.add("alice", path, content) for path, content in after.items()]
    firm.commit(repo, "refs/pr/1", *changes, Delete("gone.txt"), firm.add("alice", "weights.bin", b"\1" * 10))
    diff = firm.bob.get_discussion_details(repo.path, number).diff or ""
    assert "Binary files a/weights.bin and b/weights.bin differ" in diff
    for path, content in before.items():
        (tmp_path / path).write_bytes(content)
    text = re.sub(r"diff --git a/weights[^\n]*\n[^\n]*\n[^\n]*\n", "", diff)
    subprocess.run(["git", "apply", "-"], input=text.encode(), cwd=tmp_path, check=True)
    found = {str(it.relative_to(tmp_path)): it.read_bytes() for it in tmp_path.rglob("*") if it.is_file()}
    assert found == {**after, "weights.bin": before["weights.bin"]}
