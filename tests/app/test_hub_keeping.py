"""A server whose bytes live in another server's bucket, with quotas, scans, a scrub and a collection; stock clients."""

from __future__ import annotations

import io
import json
import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError

from craton.app.config import Home
from craton.app.keeping import collect_spec, scrub_spec
from craton.app.platform import open_platform
from tests.servers import RunningServer, serving

REPO = "acme/bert"
CONFIG = """
[blobs]
url = "s3://bytes/craton"
endpoint = "{endpoint}"
credential = "far"
cache = "200MiB"
replica = {{ url = "{replica}" }}

[quotas]
default = "40MiB"
"""


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("keeping")
    with serving(folder / "far") as far:
        far.craton("buckets", "create", "bytes")
        home = folder / "near"
        home.mkdir()
        config = CONFIG.format(endpoint=far.url, replica=folder / "replica")
        with serving(home, config=config) as running:
            running.craton("keys", "credential", "set", "far", stdin=f"{far.access_key_id}:{far.secret_access_key}")
            yield running


@pytest.fixture(scope="module")
def api(near: RunningServer) -> HfApi:
    hub = HfApi(endpoint=near.url, token=near.token)
    hub.create_repo(REPO, exist_ok=True)
    return hub


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("true",)


def test_files_of_all_kinds_come_back_from_the_bucket(near: RunningServer, api: HfApi, tmp_path: Path) -> None:
    small, large = b"{}", os.urandom(12_000_000)
    adds = [CommitOperationAdd("config.json", small), CommitOperationAdd("model.bin", large)]
    api.create_commit(REPO, adds, commit_message="both")
    for name, content in (("config.json", small), ("model.bin", large)):
        local = api.hf_hub_download(REPO, name, cache_dir=tmp_path)
        assert Path(local).read_bytes() == content
    assert not any((near.home / "blobs").rglob("??/*")), "none of it lies in the home's own folder"


def test_a_pickle_is_flagged_where_the_hub_flags_it(api: HfApi) -> None:
    api.upload_file(path_or_fileobj=pickle.dumps(Evil()), path_in_repo="evil.pkl", repo_id=REPO)
    give_up = time.monotonic() + 60
    while True:
        (found,) = api.get_paths_info(REPO, ["evil.pkl"], expand=True)
        if found.security is not None and found.security.status != "queued":  # type: ignore[union-attr]
            break
        assert time.monotonic() < give_up
        time.sleep(0.2)
    assert found.security.status == "unsafe"  # type: ignore[union-attr]
    (seen,) = found.security.pickle_import_scan["pickleImports"]  # type: ignore[union-attr, index]
    assert (seen["module"], seen["name"], seen["safety"]) == ("posix", "system", "dangerous")
    status = api.model_info(REPO, securityStatus=True).security_repo_status
    assert {"path": "evil.pkl", "level": "unsafe"} in status["filesWithIssues"]


def test_more_than_the_quota_is_refused_with_its_reason(near: RunningServer, api: HfApi) -> None:
    with pytest.raises(HfHubHTTPError) as refused:  # by Git LFS, which says why; by Xet the client says 413 alone
        api.upload_file(path_or_fileobj=io.BytesIO(os.urandom(42_000_001)), path_in_repo="two.bin", repo_id=REPO)
    assert refused.value.response.status_code == 413
    with pytest.raises(Exception, match="413"):
        api.upload_file(path_or_fileobj=os.urandom(42_000_001), path_in_repo="two.bin", repo_id=REPO)
    shown = json.loads(near.craton("blobs", "usage", "--json").stdout)
    (mine,) = [it for it in shown if it["tenant"] == "default"]
    assert mine["quota"] == 40 * 2**20
    assert 0 < mine["bytes"] <= mine["quota"]
    assert json.loads(near.craton("blobs", "usage", "--recount", "--json").stdout) == shown


def test_rot_in_the_bucket_is_repaired_by_the_command(near: RunningServer, api: HfApi) -> None:
    with_platform = open_platform(Home(near.home))
    store = with_platform.store
    digest = with_platform.hub.store("default", [b"precious"], 8).digest
    key = f"craton/{digest[:2]}/{digest[2:]}"
    bucket = store.first._store  # type: ignore[attr-defined]  # behind its back
    obstore.put(bucket, key, b"preciou?")
    with_platform.close()
    done = json.loads(near.craton("blobs", "scrub", "--rate", "1GiB", "--json").stdout)
    assert (done["scrubbed"]["damaged"], done["scrubbed"]["repaired"], done["broken"]) == (1, 1, [])
    assert bytes(obstore.get(bucket, key).bytes()) == b"precious"


def test_a_scrub_without_a_second_copy_names_the_files_and_fails(near: RunningServer, api: HfApi) -> None:
    platform = open_platform(Home(near.home))
    platform.store.remove(platform.hub.store("default", [b"{}"], 2).digest)
    platform.close()
    failed = near.craton("blobs", "scrub", "--rate", "1GiB", "--json", check=False)
    assert failed.returncode == 1
    found = json.loads(failed.stdout)
    assert [(it["repository"], it["ref"], it["path"]) for it in found["files"]] == [
        ("acme/bert", "refs/heads/main", "config.json")
    ]
    api.upload_file(path_or_fileobj=b"{}", path_in_repo="again.json", repo_id=REPO)
    assert near.craton("blobs", "scrub", "--rate", "1GiB", "--json").returncode == 0


@pytest.mark.slow
def test_a_collection_runs_as_a_command_and_as_a_job(near: RunningServer, api: HfApi) -> None:
    found = json.loads(near.craton("blobs", "collect", "--json").stdout)
    assert found["removed"] == 0, "everything is young"
    platform = open_platform(Home(near.home))
    with platform.database.write() as connection:
        jobs = [platform.jobs.submit(connection, spec) for spec in (collect_spec(), scrub_spec())]
    give_up = time.monotonic() + 60
    while any(platform.jobs.get(it.tenant, it.id).status in {"queued", "running"} for it in jobs):
        assert time.monotonic() < give_up
        time.sleep(0.2)
    ended = [platform.jobs.get(it.tenant, it.id) for it in jobs]
    platform.close()
    assert [(it.kind, it.status, it.error) for it in ended] == [
        ("collect", "succeeded", ""),
        ("scrub", "succeeded", ""),
    ]
    assert ended[1].result is not None
    assert ended[1].result["broken"] == 0
