"""Uploads that are interrupted: by a client that leaves, by a server that is killed; and those of many files."""

from __future__ import annotations

import hashlib
import io
import random
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

from tests.servers import RunningServer, serving

KILLS = 2


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def operations(number: int) -> list[CommitOperationAdd]:
    """The files of one commit, other ones each time: a large one by Git LFS, and small ones."""
    found = [CommitOperationAdd(f"{number}/{it}.txt", f"{number} {it}\n".encode()) for it in range(30)]
    return [*found, CommitOperationAdd(f"{number}/w.bin", io.BytesIO(noise(8_000_000, number)))]


def leftovers(server: RunningServer) -> list[Path]:
    return [*(server.home / "blobs" / "tmp").iterdir(), *(server.home / "uploads").rglob("*.*")]


def test_a_killed_server_keeps_what_it_acknowledged_and_the_client_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, home, acknowledged = random.Random(5), tmp_path / "home", {}
    for number in range(KILLS):
        with serving(home) as server:
            api = HfApi(endpoint=server.url, token=server.token)
            api.create_repo("acme/storm", exist_ok=True)

            def upload(api: HfApi = api, number: int = number) -> None:
                try:
                    made = api.create_commit("acme/storm", operations(number), commit_message=f"Number {number}")
                    acknowledged[number] = made.oid
                except Exception:  # the server was killed: nothing is promised
                    pass

            worker = threading.Thread(target=upload, daemon=True)
            worker.start()
            time.sleep(source.uniform(0.02, 0.6))
            server.process.kill()
            worker.join(0.3)  # until it has read what came; after that it asks a dead server for a while
    with serving(home) as server:
        api = HfApi(endpoint=server.url, token=server.token)
        commits = {it.title: it.commit_id for it in api.list_repo_commits("acme/storm")}
        for number in range(KILLS):
            there = {it for it in api.list_repo_files("acme/storm") if it.startswith(f"{number}/")}
            assert len(there) in (0, 31)
            assert (f"Number {number}" in commits) == bool(there)
            if number in acknowledged:
                assert commits[f"Number {number}"] == acknowledged[number]
            api.create_commit("acme/storm", operations(number), commit_message=f"Again {number}")
            got = api.hf_hub_download("acme/storm", f"{number}/w.bin", cache_dir=tmp_path / "cache")
            assert Path(got).read_bytes() == noise(8_000_000, number)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> object:
    with serving(tmp_path_factory.mktemp("life") / "home") as running:
        yield running


def test_a_client_that_leaves_in_the_middle_leaves_nothing(server: RunningServer) -> None:
    api = HfApi(endpoint=server.url, token=server.token)
    api.create_repo("acme/broken")
    content = noise(3_000_000, 1)
    with server.client() as client:
        asked = {"operation": "upload", "objects": [{"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}]}
        url = "/acme/broken.git/info/lfs/objects/batch"
        href = client.post(url, json=asked).json()["objects"][0]["actions"]["upload"]["href"]
        lines = b'{"key":"header","value":{"summary":"s"}}\n{"key":"file","value":{"path":"x","content":"x"}}\n'
        for method, to, body in (
            ("PUT", href.removeprefix(server.url), content[:2_000_000]),
            ("POST", "/api/models/acme/broken/commit/main", lines),
        ):
            address = urlsplit(server.url)
            with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
                head = f"{method} {to} HTTP/1.1\r\nhost: {address.netloc}\r\ncontent-length: 3000000\r\n"
                connection.sendall(f"{head}authorization: Bearer {server.token}\r\n\r\n".encode() + body)
                time.sleep(0.2)
        give_up = time.monotonic() + 20
        while leftovers(server) and time.monotonic() < give_up:
            time.sleep(0.05)
        assert leftovers(server) == []
        assert api.list_repo_files("acme/broken") == [".gitattributes"]
        assert client.post(url, json=asked).json()["objects"][0]["actions"]
        assert httpx.put(href, content=content, trust_env=False, timeout=60).status_code == 200
        assert "actions" not in client.post(url, json=asked).json()["objects"][0]


def test_many_files_are_one_commit(server: RunningServer) -> None:
    api = HfApi(endpoint=server.url, token=server.token)
    api.create_repo("acme/many")
    header = '{"key":"header","value":{"summary":"Many"}}\n'
    files = "".join(
        f'{{"key":"file","value":{{"path":"{it % 10}/{it}.txt","content":"{it % 200}"}}}}\n' for it in range(1000)
    )
    with server.client() as client:
        reply = client.post("/api/models/acme/many/commit/main", content=header + files)
        assert reply.status_code == 200
        folders = "".join(f'{{"key":"deletedFolder","value":{{"path":"{it}/"}}}}\n' for it in range(9))
        more = client.post("/api/models/acme/many/commit/main", content=header + folders)
        assert more.status_code == 200
    assert len(api.list_repo_files("acme/many", revision=reply.json()["commitOid"])) == 1001
    assert len(api.list_repo_files("acme/many")) == 101


def test_a_folder_comes_whole_into_a_dataset(server: RunningServer, tmp_path: Path) -> None:
    api = HfApi(endpoint=server.url, token=server.token)
    contents = {f"{it % 3}/{it}.txt": f"{it}\n".encode() for it in range(40)} | {"w.bin": noise(2_000_000, 3)}
    for path, content in contents.items():
        (tmp_path / "source" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / path).write_bytes(content)
    api.create_repo("acme/large", repo_type="dataset")
    api.upload_folder(repo_id="acme/large", folder_path=tmp_path / "source", repo_type="dataset")
    target = Path(api.snapshot_download("acme/large", repo_type="dataset", local_dir=tmp_path / "target"))
    assert {path: (target / path).read_bytes() for path in contents} == contents
    api.create_commit(
        "acme/large", [CommitOperationDelete("0/", is_folder=True)], repo_type="dataset", commit_message="Less"
    )
    assert not [it for it in api.list_repo_files("acme/large", repo_type="dataset") if it.startswith("0/")]
