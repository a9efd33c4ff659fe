"""Whose model a name means, and what lists hold: on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert

from craton.core.access import SHARED_TENANT
from craton.core.errors import Gated, NotFound
from craton.core.repo import Add, RepoId
from craton.hub import rows
from craton.hub.catalog import UNREAD, Catalog
from craton.hub.collaboration.tables import access_requests
from craton.hub.models import Models
from craton.hub.repositories import Hub

TINY = RepoId("model", "acme", "tiny")


def put(hub: Hub, add: Callable[..., Add], tenant: str, content: bytes, repo: RepoId = TINY, **settings: Any) -> str:
    hub.create(tenant, repo)
    files = [add(tenant, "tiny.gguf", content), add(tenant, "train.py", b"x"), add(tenant, "tiny.bin", b"x")]
    hub.configure(tenant, repo, **settings)
    return hub.commit(tenant, repo, "main", None, files, "m", "me").id


def admit(hub: Hub, owner: str, repo: RepoId, applicant: str) -> None:
    with hub.database.write() as connection:
        found = rows.find(connection, owner, repo).id
        values = {"tenant": owner, "repository": found, "applicant": applicant, "id": "1", "status": "accepted"}
        connection.execute(insert(access_requests).values(**values, created=0.0, granted=True, reason=""))


def test_own_models_come_first_then_those_of_the_shared_tenant_then_what_others_share(
    hub: Hub, add: Callable[..., Add], gguf_maker: Any
) -> None:
    catalog, content = Catalog(Models(hub)), gguf_maker.model()
    put(hub, add, "a", content)
    with pytest.raises(NotFound):
        catalog.resolve("b", "acme/tiny")  # it is private
    hub.configure("a", TINY, private=False)
    assert catalog.resolve("b", "acme/tiny").owner == "a"
    put(hub, add, SHARED_TENANT, content)  # nobody takes the place of what comes with Craton
    put(hub, add, "b", content)
    owners = [("a", "a"), ("b", "b"), ("c", SHARED_TENANT)]
    assert [(tenant, catalog.resolve(tenant, "acme/tiny").owner) for tenant, _ in owners] == owners
    for tenant, owner in owners:
        [listed] = catalog.listed(tenant)
        assert (listed.owner, listed.info.id, listed.info.verbs) == (owner, "acme/tiny", ("chat",))


def test_what_can_run_something_never_comes_near_an_engine(hub: Hub, add: Callable[..., Add], gguf_maker: Any) -> None:
    put(hub, add, "a", gguf_maker.model())
    assert set(Catalog(Models(hub)).resolve("a", "acme/tiny").files) == {"tiny.gguf"}


def test_gated_models_are_for_their_owner_and_whom_he_let_in(
    hub: Hub, add: Callable[..., Add], gguf_maker: Any
) -> None:
    catalog = Catalog(Models(hub))
    revision = put(hub, add, "a", gguf_maker.model(), private=False, gated="manual")
    for name in ("acme/tiny", f"acme/tiny@{revision}", "ACME/Tiny"):
        with pytest.raises(Gated):
            catalog.resolve("b", name)
    assert [len(catalog.list(tenant)) for tenant in ("a", "b")] == [1, 0]
    admit(hub, "a", TINY, "b")
    assert catalog.resolve("b", f"acme/tiny@{revision}").info.id == "acme/tiny"
    assert [len(catalog.list(tenant)) for tenant in ("b", "c")] == [1, 0]


def test_a_moved_model_is_called_by_its_new_name_though_it_was_read_under_the_old_one(
    hub: Hub, add: Callable[..., Add], gguf_maker: Any
) -> None:
    catalog = Catalog(Models(hub))
    put(hub, add, "a", gguf_maker.model())
    assert catalog.list("a")[0].id == "acme/tiny"
    hub.move("a", TINY, RepoId("model", "acme", "small"))
    assert [(info.id, info.repo) for info in catalog.list("a")] == [("acme/small", "acme/small")]
    assert catalog.resolve("a", "acme/tiny").info.id == "acme/small"


def test_a_list_reads_for_a_while_and_names_what_is_left(hub: Hub, add: Callable[..., Add], gguf_maker: Any) -> None:
    names = [RepoId("model", "acme", name) for name in ("one", "two", "three")]
    for repo in names:
        put(hub, add, "a", gguf_maker.model(), repo)
    seconds = iter([0.0, 1.0, 2.0])  # the end is fixed, one is read, the time is up
    listed = Catalog(Models(hub), monotonic=lambda: next(seconds)).list("a")
    assert [info.id for info in listed] == ["acme/one", "acme/three", "acme/two"]
    unread = [info for info in listed if not info.verbs]
    assert [info.details for info in unread] == [{"refused": UNREAD}] * 2
    catalog = Catalog(Models(hub))
    assert catalog.resolve("a", unread[0].id).info.verbs == ("chat",)
    assert all(info.verbs for info in catalog.list("a"))


def test_a_model_without_all_of_its_files_says_so_and_is_read_again(
    hub: Hub, add: Callable[..., Add], gguf_maker: Any, tmp_path: Any
) -> None:
    put(hub, add, "a", gguf_maker.model())
    catalog = Catalog(Models(hub))
    place = hub.blobs.path(catalog.resolve("a", "acme/tiny").files["tiny.gguf"])
    put(hub, add, "a", gguf_maker.model(), RepoId("model", "acme", "mirrored"))
    aside = tmp_path / "aside"
    place.rename(aside)
    [info] = [info for info in catalog.list("a") if info.id == "acme/mirrored"]
    assert info.verbs == ()
    assert "not all of its files" in (info.details or {})["refused"]
    aside.rename(place)
    assert catalog.resolve("a", "acme/mirrored").info.verbs == ("chat",)
    with pytest.raises(NotFound):
        catalog.resolve("b", "acme/mirrored")
