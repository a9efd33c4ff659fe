"""One HF_ENDPOINT for what is here and what is upstream: stock clients against a server that mirrors another one."""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from craton.core.repo import RepoId
from tests.app.mirroring import Hub, hub, mirror_of, trust

WEIGHTS = os.urandom(3_000_000)
FILES = {
    "config.json": b'{"model_type": "bert"}',
    "README.md": b"---\nlicense: mit\n---\nA net.\n",
    "empty.txt": b"",
    "a folder/vocab.txt": "größer\n".encode(),
    "model.safetensors": WEIGHTS,
}


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with hub(tmp_path_factory.mktemp("upstream") / "home", "[hub]\nanonymous = true\n") as running:
        yield running


@pytest.fixture(scope="module")
def here(upstream: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with hub(tmp_path_factory.mktemp("mirror") / "home", mirror_of(upstream.server.url)) as running:
        yield running


def read(folder: str) -> dict[str, bytes]:
    root = Path(folder)
    files = (path for path in root.rglob("*") if path.is_file() and ".cache" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def test_a_snapshot_comes_through_and_is_the_same(upstream: Hub, here: Hub, tmp_path: Path) -> None:
    repo = upstream.publish(FILES)
    commit = upstream.alice.model_info(repo.path).sha
    assert read(here.alice.snapshot_download(repo.path, local_dir=tmp_path / "a")) == FILES
    info = here.bob.model_info(repo.path, files_metadata=True)
    theirs = upstream.alice.model_info(repo.path, files_metadata=True)
    assert (info.sha, info.private, info.card_data.license) == (commit, False, "mit")
    assert [(it.rfilename, it.size, it.blob_id, it.lfs) for it in info.siblings or []] == [
        (it.rfilename, it.size, it.blob_id, it.lfs) for it in theirs.siblings or []
    ]
    give_up = time.monotonic() + 30
    while not here.blobs.exists(hashlib.sha256(WEIGHTS).hexdigest()) and time.monotonic() < give_up:
        time.sleep(0.05)  # it is kept a moment after it was sent
    assert here.blobs.exists(hashlib.sha256(WEIGHTS).hexdigest())
    with pytest.raises(RepositoryNotFoundError) as error:
        here.alice.model_info("acme/nothing")
    assert "config.toml" not in str(error.value)


def test_what_upstream_changes_comes_and_what_was_pinned_stays(upstream: Hub, here: Hub, tmp_path: Path) -> None:
    repo = upstream.publish(FILES)
    first = upstream.alice.model_info(repo.path).sha
    assert here.alice.hf_hub_download(repo.path, "config.json", cache_dir=tmp_path).endswith(f"{first}/config.json")
    second = upstream.change(repo, {"config.json": b'{"model_type": "gpt2"}', "model.safetensors": b"new"})
    upstream.platform.hub.create_ref("alice", repo, "tag", "v2", second)
    upstream.platform.hub.create_ref("alice", repo, "branch", "dev", second)
    for _ in range(2):
        refs = here.bob.list_repo_refs(repo.path)
        assert {(it.name, it.target_commit) for it in refs.branches} == {("main", second), ("dev", second)}
        assert [(it.name, it.target_commit) for it in refs.tags] == [("v2", second)]
    newest = here.alice.hf_hub_download(repo.path, "model.safetensors", revision="v2", cache_dir=tmp_path)
    assert Path(newest).read_bytes() == b"new"
    assert here.alice.model_info(repo.path).sha == second
    pinned = here.bob.hf_hub_download(repo.path, "model.safetensors", revision=first, cache_dir=tmp_path / "bob")
    assert Path(pinned).read_bytes() == WEIGHTS
    third = upstream.change(repo, {"more.txt": b"more"})
    unseen = here.bob.hf_hub_download(repo.path, "more.txt", revision=third, cache_dir=tmp_path / "bob")
    assert Path(unseen).read_bytes() == b"more"
    with pytest.raises(RevisionNotFoundError):
        here.alice.model_info(repo.path, revision="v3")
    with pytest.raises(EntryNotFoundError):
        here.alice.hf_hub_download(repo.path, "absent.txt", cache_dir=tmp_path)
    assert [it.path for it in here.alice.list_repo_tree(repo.path, recursive=True)] == [
        it.path for it in upstream.alice.list_repo_tree(repo.path, recursive=True)
    ]
    assert [it.path for it in here.alice.get_paths_info(repo.path, ["more.txt", "no"])] == ["more.txt"]


def test_a_dataset_loads_whole_and_as_a_stream(upstream: Hub, here: Hub, tmp_path: Path) -> None:
    repo = upstream.publish({"data/train.csv": b"a,b\n1,x\n2,y\n"}, kind="dataset")
    code = """
import sys
from datasets import load_dataset
print(load_dataset(sys.argv[1])["train"][1], [*load_dataset(sys.argv[1], streaming=True)["train"]][0])
"""
    environment = {
        **here.server.environment,
        "HF_ENDPOINT": here.server.url,
        "HF_TOKEN": str(here.alice.token),
        "HF_HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, repo.path], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "{'a': 2, 'b': 'y'} {'a': 1, 'b': 'x'}\n", done.stderr


def test_own_repositories_come_first_and_are_never_asked_for_upstream(upstream: Hub, here: Hub) -> None:
    repo = upstream.publish(FILES)
    mine = f"mine-{secrets.token_hex(4)}"
    for name in (repo.path, f"alice/{mine}"):
        here.alice.create_repo(name, private=True)
        here.alice.upload_file(path_or_fileobj=b"mine", path_in_repo="a.txt", repo_id=name)
        assert "a.txt" in here.alice.list_repo_files(name)
    assert "config.json" in here.bob.list_repo_files(repo.path)
    assert upstream.requests(repo.path) > 0
    assert upstream.requests(mine) == 0


def test_nobody_puts_his_own_in_the_place_of_what_upstream_has(upstream: Hub, here: Hub) -> None:
    repo = upstream.publish(FILES)
    here.alice.create_repo(repo.path, private=False)
    assert "config.json" in here.bob.list_repo_files(repo.path)
    assert "config.json" not in here.alice.list_repo_files(repo.path)
    assert [it.sha for it in here.bob.list_models(search=repo.name, full=True)] == [
        upstream.alice.model_info(repo.path).sha
    ]


def test_mirrored_repositories_are_not_written_to(upstream: Hub, here: Hub) -> None:
    repo = upstream.publish(FILES)
    here.alice.model_info(repo.path)
    with pytest.raises(HfHubHTTPError) as error:
        here.alice.upload_file(path_or_fileobj=b"x", path_in_repo="config.json", repo_id=repo.path)
    assert error.value.response.status_code == 403


def test_old_names_lead_where_upstream_leads_them(upstream: Hub, here: Hub, tmp_path: Path) -> None:
    repo = upstream.publish(FILES)
    moved = f"acme/moved-{secrets.token_hex(4)}"
    upstream.alice.move_repo(repo.path, moved)
    assert here.alice.model_info(repo.path).id == moved
    found = here.alice.hf_hub_download(repo.path, "config.json", cache_dir=tmp_path)
    assert Path(found).read_bytes() == FILES["config.json"]


def test_who_may_use_a_mirror_and_see_what_its_token_opens(upstream: Hub, tmp_path: Path) -> None:
    def publish(prefix: str) -> list[RepoId]:
        names = [f"{prefix}-{secrets.token_hex(4)}" for _ in range(3)]
        return [
            upstream.publish(FILES, name=names[0]),
            upstream.publish(FILES, name=names[1], gated="manual"),
            upstream.publish(FILES, name=names[2], private=True),
        ]

    def seen(client: HfApi, repo: RepoId) -> type[Exception] | None:
        try:
            client.hf_hub_download(repo.path, "config.json", cache_dir=tmp_path / secrets.token_hex(4))
            client.model_info(repo.path)
        except HfHubHTTPError as error:
            assert list(client.list_models(search=repo.name)) == []
            return type(error)
        assert [it.id for it in client.list_models(search=repo.name)] == [repo.path]
        return None

    all_open, some_open = publish("all"), publish("some")
    config = mirror_of(
        upstream.server.url, 'credential = "up"', "gated = true", 'tenants = ["alice"]', allow="acme/all-*"
    )
    config += mirror_of(upstream.server.url, 'credential = "up"', name="other", allow="acme/some-*")
    with hub(tmp_path / "here", config) as here:
        trust(here, str(upstream.alice.token))
        assert [seen(here.alice, repo) for repo in all_open] == [None, None, None]
        assert [seen(here.bob, repo) for repo in all_open] == [RepositoryNotFoundError] * 3
        for client in (here.alice, here.bob):
            assert [seen(client, repo) for repo in some_open] == [None, GatedRepoError, RepositoryNotFoundError]
        here.platform.close()


def test_the_last_known_state_is_served_while_upstream_is_down(upstream: Hub, here: Hub, tmp_path: Path) -> None:
    """The last test here: upstream does not come back."""
    known = upstream.publish({**FILES, "model.safetensors": os.urandom(1000)})
    unknown = upstream.publish(FILES)
    here.alice.snapshot_download(known.path, local_dir=tmp_path / "a", ignore_patterns="*.safetensors")
    upstream.server.process.terminate()
    upstream.server.process.wait()
    again = here.bob.snapshot_download(
        known.path, local_dir=tmp_path / "b", ignore_patterns="*.safetensors", force_download=True
    )
    assert read(again) == {path: content for path, content in FILES.items() if path != "model.safetensors"}
    for path in (f"api/models/{unknown.path}", f"{known.path}/resolve/main/model.safetensors"):
        headers = {"authorization": f"Bearer {here.alice.token}"}
        refused = httpx.get(f"{here.server.url}/{path}", headers=headers, timeout=60)
        assert (refused.status_code, "cannot be reached" in refused.json()["error"]) == (502, True)
