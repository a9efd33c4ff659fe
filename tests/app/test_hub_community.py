"""Likes, collections, requests for access and overviews with the stock client, by two tenants."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

from craton.core.errors import Gated
from craton.core.repo import RepoId
from craton.hub.admission import Admission
from craton.hub.reaching import Reaching
from tests.app.collaborating import Company, company


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with company(tmp_path_factory.mktemp("community") / "home") as running:
        yield running


def status_of(error: pytest.ExceptionInfo[HfHubHTTPError]) -> int:
    return error.value.response.status_code


def like(firm: Company, api: HfApi, repo: str) -> None:
    with firm.server.client() as client:
        headers = {"authorization": f"Bearer {api.token}"}
        client.post(f"/api/models/{repo}/like", headers=headers).raise_for_status()


# --- likes -----------------------------------------------------------------------------------------------------------


def test_likes_come_and_go(firm: Company) -> None:
    repo, other = firm.repo().path, firm.repo(private=True).path
    for api, name in ((firm.bob, repo), (firm.bob, repo), (firm.alice, repo), (firm.alice, other)):
        like(firm, api, name)
    assert [user.username for user in firm.bob.list_repo_likers(repo)] == ["alice", "bob"]
    assert set(firm.alice.list_liked_repos("alice").models) == {repo, other}
    assert firm.bob.list_liked_repos("alice").models == [repo]  # what alice keeps to herself is not his to see
    firm.bob.unlike(repo)
    firm.bob.unlike(repo)
    assert [user.username for user in firm.bob.list_repo_likers(repo)] == ["alice"]
    assert firm.bob.list_liked_repos("bob").total == 0


def test_what_is_not_seen_cannot_be_liked(firm: Company) -> None:
    for name in (firm.repo(private=True).path, "alice/absent", "absent"):
        with pytest.raises(RepositoryNotFoundError):
            firm.bob.unlike(name)
    with pytest.raises(HfHubHTTPError) as nobody:
        firm.bob.list_liked_repos("nobody")
    assert status_of(nobody) == 404


# --- collections -----------------------------------------------------------------------------------------------------


def test_a_collection_has_a_slug_that_survives_a_new_title(firm: Company) -> None:
    title = f"My cool stuff {secrets.token_hex(4)}"
    made = firm.alice.create_collection(title, namespace="alice", description="A lot of it")
    assert made.slug.startswith(f"alice/{title.lower().replace(' ', '-')}-")
    assert (made.title, made.description, made.items, made.private) == (title, "A lot of it", [], False)
    changed = firm.alice.update_collection_metadata(made.slug, title="New", description="Less", theme="pink")
    assert (changed.title, changed.description, changed.theme) == ("New", "Less", "pink")
    assert changed.slug != made.slug
    for slug in (made.slug, changed.slug):
        assert firm.bob.get_collection(slug).slug == changed.slug
    with pytest.raises(HfHubHTTPError) as refused:
        firm.bob.update_collection_metadata(made.slug, title="Mine")
    assert status_of(refused) == 403
    with pytest.raises(HfHubHTTPError) as theme:
        firm.alice.update_collection_metadata(made.slug, theme="plaid")
    assert status_of(theme) == 400


def test_one_that_exists_is_a_conflict_that_names_it(firm: Company) -> None:
    title = f"Twice {secrets.token_hex(4)}"
    first = firm.alice.create_collection(title, namespace="alice")
    with pytest.raises(HfHubHTTPError) as again:
        firm.alice.create_collection(title, namespace="alice")
    assert status_of(again) == 409
    second = firm.alice.create_collection(title, namespace="alice", description="other", exists_ok=True)
    assert (second.slug, second.description) == (first.slug, None)
    assert firm.bob.create_collection(title, namespace="alice").slug != first.slug  # names are each tenant's own


def test_private_ones_are_private_and_deleted_ones_gone(firm: Company) -> None:
    made = firm.alice.create_collection(f"Mine {secrets.token_hex(4)}", namespace="alice", private=True)
    for act in (firm.bob.get_collection, firm.bob.delete_collection):
        with pytest.raises(HfHubHTTPError) as hidden:
            act(made.slug)
        assert status_of(hidden) == 404
    assert made.slug not in [it.slug for it in firm.bob.list_collections(owner="alice")]
    assert made.slug in [it.slug for it in firm.alice.list_collections(owner="alice")]
    firm.alice.update_collection_metadata(made.slug, private=False)
    assert firm.bob.get_collection(made.slug).private is False
    firm.alice.delete_collection(made.slug)
    with pytest.raises(HfHubHTTPError):
        firm.alice.delete_collection(made.slug)
    firm.alice.delete_collection(made.slug, missing_ok=True)


def test_items_are_ordered_noted_moved_and_removed(firm: Company) -> None:
    model, dataset = firm.repo().path, f"alice/data-{secrets.token_hex(4)}"
    firm.platform.hub.create("alice", RepoId("dataset", *dataset.split("/")))
    nested = firm.alice.create_collection(f"Nested {secrets.token_hex(4)}", namespace="alice").slug
    slug = firm.alice.create_collection(f"Items {secrets.token_hex(4)}", namespace="alice").slug
    firm.alice.add_collection_item(slug, model, "model", note="The best")
    firm.alice.add_collection_item(slug, dataset, "dataset")
    found = firm.alice.add_collection_item(slug, nested, "collection")
    assert [(it.item_type, it.item_id, it.note) for it in found.items] == [
        ("model", model, "The best"),
        ("dataset", dataset, None),
        ("collection", nested, None),
    ]
    with pytest.raises(HfHubHTTPError) as twice:
        firm.alice.add_collection_item(slug, model, "model")
    assert status_of(twice) == 409
    firm.alice.add_collection_item(slug, model, "model", exists_ok=True)
    for name, kind, status in ((model, "dataset", 404), ("2307.09288", "paper", 400), (slug, "collection", 409)):
        with pytest.raises(HfHubHTTPError) as refused:
            firm.alice.add_collection_item(slug, name, kind)  # type: ignore[arg-type]
        assert status_of(refused) == status
    with pytest.raises(HfHubHTTPError) as long:
        firm.alice.update_collection_item(slug, found.items[0].item_object_id, note="x" * 501)
    assert status_of(long) == 413
    firm.alice.update_collection_item(slug, found.items[0].item_object_id, note="Good", position=1)
    found = firm.alice.get_collection(slug)
    assert [(it.item_id, it.note) for it in found.items][:2] == [(dataset, None), (model, "Good")]
    assert [it.item_type for it in firm.bob.get_collection(slug).items] == [
        "model",
        "collection",
    ]  # not the private one
    firm.alice.delete_collection_item(slug, found.items[1].item_object_id)
    firm.alice.delete_collection_item(slug, found.items[1].item_object_id, missing_ok=True)
    firm.alice.delete_collection(nested)
    firm.platform.hub.move(
        "alice", RepoId("dataset", *dataset.split("/")), RepoId("dataset", "alice", f"{nested[-8:]}")
    )
    assert [it.item_id for it in firm.alice.get_collection(slug).items] == [f"alice/{nested[-8:]}"]
    firm.platform.hub.delete("alice", RepoId("dataset", "alice", f"{nested[-8:]}"))
    assert firm.alice.get_collection(slug).items == []


def test_collections_are_listed_by_owner_and_by_what_they_hold(firm: Company) -> None:
    model = firm.repo().path
    slugs = []
    for number in range(3):
        slugs.append(firm.bob.create_collection(f"List {number} {model}", namespace="bob").slug)
        firm.bob.add_collection_item(slugs[-1], model, "model")
    held = [it.slug for it in firm.alice.list_collections(item=f"models/{model}")]
    assert held == slugs[::-1]
    assert [it.slug for it in firm.alice.list_collections(owner="bob", item=f"models/{model}", limit=2)] == held[:2]
    assert list(firm.alice.list_collections(owner="alice", item=f"models/{model}")) == []
    assert list(firm.alice.list_collections(item="models/alice/absent")) == []
    with firm.server.client() as client:
        first = client.get("/api/collections", params={"owner": "bob", "limit": 2})
        assert [it["slug"] for it in first.json()] == held[:2]
        assert [it["slug"] for it in client.get(first.links["next"]["url"]).json()][:1] == held[2:]


# --- requests for access ---------------------------------------------------------------------------------------------


def names(requests: object) -> list[str]:
    return [it.username for it in requests]  # type: ignore[attr-defined]


def ask(firm: Company, api: HfApi, repo: str, **options: object) -> tuple[int, str]:
    with firm.server.client() as client:
        headers = {"authorization": f"Bearer {api.token}"}
        answer = client.post(f"/{repo}/ask-access", headers=headers, **options)  # type: ignore[arg-type]
        return answer.status_code, answer.json().get("status", "")


def admitted(firm: Company, tenant: str, repo: RepoId) -> str:
    """What the gate says: "" for yes, else the status of the request."""
    try:
        Admission(firm.platform.database).check(tenant, Reaching(firm.platform.database).reach(tenant, repo))
    except Gated as error:
        return error.status or "not asked"
    return ""


def test_whoever_asks_an_automatic_gate_is_in(firm: Company) -> None:
    repo = firm.repo(gated="auto")
    assert (admitted(firm, "alice", repo), admitted(firm, "bob", repo)) == ("", "not asked")
    firm.alice.auth_check(repo.path)
    with pytest.raises(GatedRepoError):
        firm.bob.auth_check(repo.path)
    assert ask(firm, firm.bob, repo.path, json={"Company": "ACME", "Agree": True}) == (200, "accepted")
    assert admitted(firm, "bob", repo) == ""
    firm.bob.auth_check(repo.path)
    firm.alice.auth_check(repo.path, write=True)
    with pytest.raises(HfHubHTTPError) as refused:
        firm.bob.auth_check(repo.path, write=True)
    assert status_of(refused) == 403
    with pytest.raises(RepositoryNotFoundError):
        firm.bob.auth_check("alice/absent")
    [request] = firm.alice.list_accepted_access_requests(repo.path)
    assert (request.username, request.fields, request.email) == ("bob", {"Company": "ACME", "Agree": "True"}, None)


def test_the_owner_decides_at_a_manual_gate(firm: Company) -> None:
    repo = firm.repo(gated="manual")
    assert ask(firm, firm.bob, repo.path, data={"Why": "research"}) == (200, "pending")
    assert admitted(firm, "bob", repo) == "pending"
    [request] = firm.alice.list_pending_access_requests(repo.path)
    assert (request.username, request.fields) == ("bob", {"Why": "research"})
    firm.alice.reject_access_request(repo.path, "bob", rejection_reason="No")
    assert ask(firm, firm.bob, repo.path) == (200, "rejected")
    assert admitted(firm, "bob", repo) == "rejected"
    assert names(firm.alice.list_rejected_access_requests(repo.path)) == ["bob"]
    firm.alice.accept_access_request(repo.path, request_id=request.request_id)
    assert admitted(firm, "bob", repo) == ""
    firm.alice.cancel_access_request(repo.path, "bob")
    assert admitted(firm, "bob", repo) == "pending"


def test_access_is_granted_once_and_nothing_is_decided_twice(firm: Company) -> None:
    repo = firm.repo(gated="auto").path
    assert firm.alice.grant_access(repo, "bob") == {}  # type: ignore[func-returns-value]
    assert names(firm.alice.list_accepted_access_requests(repo)) == ["bob"]
    assert names(firm.alice.list_pending_access_requests(repo)) == []
    for again, status in (
        (lambda: firm.alice.grant_access(repo, "bob"), 400),
        (lambda: firm.alice.accept_access_request(repo, "bob"), 404),
        (lambda: firm.alice.grant_access(repo, "nobody"), 404),
        (lambda: firm.alice.reject_access_request(repo, "nobody", rejection_reason=None), 404),
        (lambda: firm.alice.reject_access_request(repo, "bob", rejection_reason="x" * 201), 413),
    ):
        with pytest.raises(HfHubHTTPError) as refused:
            again()
        assert status_of(refused) == status


def test_only_the_owner_sees_and_decides(firm: Company) -> None:
    repo = firm.repo(gated="manual").path
    for act in (
        lambda: list(firm.bob.list_pending_access_requests(repo)),
        lambda: firm.bob.grant_access(repo, "bob"),
        lambda: firm.bob.accept_access_request(repo, "bob"),
    ):
        with pytest.raises(HfHubHTTPError) as refused:
            act()
        assert status_of(refused) == 403


def test_where_nothing_is_gated_there_is_nothing_to_ask(firm: Company) -> None:
    repo = firm.repo().path
    assert ask(firm, firm.bob, repo)[0] == 400
    assert ask(firm, firm.alice, firm.repo(gated="auto").path)[0] == 400
    assert ask(firm, firm.bob, firm.repo(private=True, gated="auto").path)[0] == 404
    with pytest.raises(HfHubHTTPError) as refused:
        firm.alice.grant_access(repo, "bob")
    assert status_of(refused) == 400


# --- users -----------------------------------------------------------------------------------------------------------


def test_overviews_count_what_the_asker_may_see(firm: Company) -> None:
    before, hers = firm.bob.get_user_overview("alice"), firm.alice.get_user_overview("alice")
    shared, private = firm.repo().path, firm.repo(private=True).path
    firm.alice.create_discussion(shared, "Shared")
    firm.alice.create_discussion(private, "Private")
    after, now = firm.bob.get_user_overview("alice"), firm.alice.get_user_overview("alice")
    assert after.username == "alice"
    assert [(after.num_models or 0) - (before.num_models or 0), (now.num_models or 0) - (hers.num_models or 0)] == [
        1,
        2,
    ]
    assert (after.num_discussions or 0) - (before.num_discussions or 0) == 1
    assert firm.bob.get_organization_overview("alice").num_models == after.num_models
    for act in (firm.bob.get_user_overview, firm.bob.get_organization_overview):
        with pytest.raises(HfHubHTTPError) as absent:
            act("nobody")
        assert status_of(absent) == 404
    with pytest.raises(HfHubHTTPError) as refused:
        list(firm.bob.list_user_followers("alice"))
    assert status_of(refused) == 400
