"""`craton models|datasets pull|push|list|show`: to and from another Craton, with a mirror and without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from craton.access.tenants import DEFAULT_TENANT, Tenants
from craton.app.config import Home
from craton.app.platform import open_platform
from craton.cli.hubs import HUB, NamedHub, named_hub
from craton.core.access import KeyRole
from tests.app.mirroring import Hub, hub, mirror_of
from tests.cli.conftest import inside
from tests.formats.makers import GgufMaker
from tests.servers import clean_environment

ROWS = {"train.csv": b"a,b\n1,x\n", "data/more.parquet": b"PAR1 or so", "README.md": b"---\nlicense: mit\n---\n"}


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with hub(tmp_path_factory.mktemp("upstream") / "home") as running:
        yield running


def test_a_dataset_is_pulled_whole_under_the_hubs_commit_id(upstream: Hub, tmp_path: Path) -> None:
    repo = upstream.publish(ROWS, kind="dataset", private=True)
    commit = upstream.alice.dataset_info(repo.path).sha
    environment = clean_environment(tmp_path / "home")
    environment |= {"HF_ENDPOINT": upstream.server.url, "HF_TOKEN": str(upstream.alice.token)}
    craton = inside(environment)
    for _ in range(2):
        done = craton("datasets", "pull", f"hf:{repo.path}", "--json")
        size = sum(map(len, ROWS.values()))
        assert json.loads(done.stdout) == {"dataset": repo.path, "revision": commit, "files": 3, "bytes": size}
    platform = open_platform(Home(tmp_path / "home"))
    entries = platform.hub.tree(DEFAULT_TENANT, repo, "main")
    assert {it.path: b"".join(platform.blobs.read(it.digest)) for it in entries} == ROWS
    newer = upstream.change(repo, {"train.csv": b"a,b\n2,y\n"})
    craton("datasets", "pull", f"hf:{repo.path}")
    assert platform.hub.resolve(DEFAULT_TENANT, repo) == newer
    added = platform.hub.store(DEFAULT_TENANT, [b"mine"], 4)
    operation = upstream.add("mine.txt", b"mine")
    assert operation.digest == added.digest
    mine = platform.hub.commit(DEFAULT_TENANT, repo, "main", "HEAD", [operation], "mine", "me")
    refused = craton("datasets", "pull", f"hf:{repo.path}", check=False)
    assert (refused.returncode, "commits of its own" in refused.stderr) == (1, True)
    assert platform.hub.resolve(DEFAULT_TENANT, repo) == mine.id
    platform.close()
    for name in ("hf:acme/absent", "acme/x"):
        assert craton("datasets", "pull", name, check=False).returncode == 1


def test_a_model_pulled_by_way_of_a_mirror_is_fetched_once(upstream: Hub, tmp_path: Path) -> None:
    repo = upstream.publish({"README.md": b"hello\n"}, private=True)
    upstream.change(repo, {"net.gguf": GgufMaker().model(), "pytorch_model.bin": b"\x80\x04."})
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text(mirror_of(upstream.server.url, 'credential = "up"', "gated = true"))
    platform = open_platform(Home(home))
    platform.vault.put(DEFAULT_TENANT, "up", str(upstream.alice.token))
    Tenants(platform.database).create("other")
    shared = {"HF_ENDPOINT": "", "CRATON_API_KEY": platform.keys.create("other", "o", KeyRole.DEVELOPER).token}
    craton = inside(clean_environment(home))
    first = json.loads(craton("models", "pull", f"hf:{repo.path}", "--json").stdout)
    assert [first[0]["model"], first[0]["verbs"], first[0]["changed"]] == [repo.path, ["chat"], True]
    asked = upstream.requests(f"{repo.path}/resolve")
    assert asked == 2
    craton("models", "pull", f"hf:{repo.path}", **shared)
    assert upstream.requests(f"{repo.path}/resolve") == asked
    mirrored = platform.hub.tree("mirror:up:gated", repo, "main")
    held = {it.path for it in mirrored if platform.blobs.exists(it.digest)}
    assert {"net.gguf", "README.md"} <= held
    assert "pytorch_model.bin" not in held
    platform.close()


def test_a_folder_and_a_repository_are_pushed(upstream: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.txt").write_text("one")
    craton = inside(upstream.server.environment)
    done = craton("datasets", "push", str(folder), "default/pushed", "--json")
    told = json.loads(done.stdout)
    assert told["dataset"] == "default/pushed"
    shown = json.loads(craton("datasets", "show", "default/pushed", "--json").stdout)
    assert shown["sha"] == told["revision"]
    assert "a.txt" in [it["rfilename"] for it in shown["siblings"]]
    assert "default/pushed" in craton("datasets", "list", "--search", "pushed").stdout
    assert craton("datasets", "show", "default/absent", check=False).returncode == 1
    assert craton("datasets", "push", str(folder), check=False).returncode == 2

    home = tmp_path / "home"
    home.mkdir()
    config = f'[hubs.up]\nendpoint = "{upstream.server.url}"\ncredential = "up"\n[hubs.bare]\n'
    (home / "config.toml").write_text(config)
    platform = open_platform(Home(home))
    platform.vault.put(DEFAULT_TENANT, "up", str(upstream.alice.token))
    craton = inside(clean_environment(home))
    craton("models", "push", str(folder), "alice/sent", "--to", "up", "--private")
    assert upstream.alice.model_info("alice/sent").private
    for hub_name in ("bare", "absent"):
        refused = craton("models", "push", str(folder), "a/b", "--to", hub_name, check=False)
        assert (refused.returncode, hub_name in refused.stderr) == (1, True)
    key = platform.keys.create(DEFAULT_TENANT, "d", KeyRole.DEVELOPER).token
    refused = craton("models", "push", str(folder), "a/b", "--to", "up", "--key", key, check=False)
    assert (refused.returncode, "may not" in refused.stderr) == (1, True)
    platform.close()


def test_in_a_shell_that_points_here_hf_names_lead_to_the_well_known_hub_without_the_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CRATON_HOME", str(tmp_path))
    monkeypatch.setenv("CRATON_URL", "http://127.0.0.1:8000")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:8000/")
    monkeypatch.setenv("HF_TOKEN", "craton-CRTNX-secret")
    assert named_hub() == NamedHub(HUB, "", True)
    monkeypatch.setenv("HF_ENDPOINT", "https://other.example")
    assert named_hub() == NamedHub("https://other.example", "craton-CRTNX-secret", False)
    monkeypatch.delenv("HF_ENDPOINT")
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    assert named_hub() == NamedHub(HUB, "hf_mine", True)
