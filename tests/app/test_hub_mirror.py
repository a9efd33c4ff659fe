"""One HF_ENDPOINT for what is here and what is upstream: stock clients against a server that mirrors another one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub.errors import RepositoryNotFoundError

from tests.app.mirroring import Hub, hub, mirror_of

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
    assert here.blobs.exists(hashlib.sha256(WEIGHTS).hexdigest())
    with pytest.raises(RepositoryNotFoundError):
        here.alice.model_info("acme/nothing")
