"""Uploads and reads through Xet by the stock client, and what strangers, liars and a killed server get."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from craton.core.repo import Add, RepoId
from craton.formats.xet.hashes import to_text
from craton.formats.xet.shards import File
from craton.hub.files import note_files, stored_files
from tests.app.collaborating import Company, company
from tests.formats.xet_makers import MadeXorb, made_file, shard_of
from tests.servers import serving

MB = 1024 * 1024

# In a process of its own: hf_xet keeps one session and one set of settings for as long as its process lives.
CLIENT = """
import hf_xet, json, sys
what, url, token, *rest = sys.argv[1:]
session = hf_xet.XetSession()
keys = dict(token_refresh_url=url, token_refresh_headers={"authorization": f"Bearer {token}"})
if what == "upload":
    with session.new_upload_commit(**keys) as commit:
        handles = [commit.start_upload_file(path, sha256=hf_xet.COMPUTE_SHA256) for path in rest]
    print(json.dumps([[h.result().xet_info.hash, h.result().xet_info.sha256] for h in handles]))
else:
    hash, size, path = rest
    with session.new_file_download_group(**keys) as group:
        group.start_download_file(hf_xet.XetFileInfo(hash, int(size)), path)
"""


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with company(tmp_path_factory.mktemp("xet") / "home") as running:
        yield running


class Machine:
    """A client's machine: what it remembers is in its folder."""

    def __init__(self, firm: Company, folder: Path, name: str = "alice") -> None:
        self.firm, self.folder = firm, folder
        api = firm.alice if name == "alice" else firm.bob
        self.token = str(api.token)

    def run(self, what: str, repo: RepoId, *rest: object, revision: str = "main") -> Any:
        kind = "read" if what == "download" else "write"
        url = f"{self.firm.server.url}/api/models/{repo.path}/xet-{kind}-token/{revision}"
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        environment = {**kept, "HOME": str(self.folder), "HF_HOME": str(self.folder), "HF_XET_CACHE": str(self.folder)}
        command = [sys.executable, "-c", CLIENT, what, url, self.token, *map(str, rest)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise OSError(done.stderr[-2000:])
        return msgspec.json.decode(done.stdout) if done.stdout else None

    def pass_for(self, repo: RepoId, kind: str = "write") -> dict[str, str]:
        """The headers with a token, as a client of another make would use it."""
        url = f"{self.firm.server.url}/api/models/{repo.path}/xet-{kind}-token/main"
        got = httpx.get(url, headers={"authorization": f"Bearer {self.token}"}, trust_env=False)
        assert got.headers["x-xet-access-token"] == got.json()["accessToken"]
        return {"authorization": f"Bearer {got.json()['accessToken']}"}


@pytest.fixture
def alice(firm: Company, tmp_path: Path) -> Machine:
    return Machine(firm, tmp_path / "alice")


@pytest.fixture
def bob(firm: Company, tmp_path: Path) -> Machine:
    return Machine(firm, tmp_path / "bob", "bob")


@pytest.fixture
def http(firm: Company) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{firm.server.url}/xet", trust_env=False, timeout=60) as client:
        yield client


def stored(firm: Company) -> int:
    return sum(path.stat().st_size for path in (firm.server.home / "blobs").rglob("*") if path.is_file())


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def keep(firm: Company, machine: Machine, repo: RepoId, how: str) -> None:
    url = f"{firm.server.url}/api/models/{repo.path}/keep"
    headers = {"authorization": f"Bearer {machine.token}"}
    httpx.put(url, json={"keep": how}, headers=headers, trust_env=False).raise_for_status()
    assert httpx.get(url, headers=headers, trust_env=False).json() == {"keep": how}


@pytest.mark.parametrize("how", ["plain", "chunks"])
def test_a_large_file_comes_in_is_committed_and_read_back(
    how: str, firm: Company, alice: Machine, tmp_path: Path
) -> None:
    repo = firm.repo()
    keep(firm, alice, repo, how)
    weights, path = random.Random(how).randbytes(3 * MB) + bytes(2 * MB), tmp_path / "w.bin"
    path.write_bytes(weights)
    [[hash, digest]] = alice.run("upload", repo, path)
    assert digest == sha256(weights)
    commit = firm.commit(repo, "main", Add("w.bin", digest, len(weights), True))
    assert firm.platform.blobs.plain.exists(digest) == (how == "plain")
    assert b"".join(firm.platform.blobs.read(digest)) == weights
    out = tmp_path / "out.bin"
    alice.run("download", repo, hash, len(weights), out)
    assert out.read_bytes() == weights
    other = Machine(firm, tmp_path / "elsewhere")
    other.run("download", repo, hash, len(weights), out, revision=commit.id)
    assert out.read_bytes() == weights


def test_a_changed_file_sends_little_from_here_and_from_elsewhere(
    firm: Company, alice: Machine, tmp_path: Path
) -> None:
    """Elsewhere, the client asks the server what it knows while it goes on: chunks that it packs before the answer
    comes are sent again, so the least of a few tries is what counts."""
    repo = firm.repo()
    keep(firm, alice, repo, "chunks")
    first = random.Random(2).randbytes(20 * MB)
    path = tmp_path / "w.bin"
    path.write_bytes(first)
    alice.run("upload", repo, path)

    def sent(machine: Machine) -> int:
        before = stored(firm)
        [[_, digest]] = machine.run("upload", repo, path)
        assert b"".join(firm.platform.blobs.read(digest)) == path.read_bytes()
        return stored(firm) - before

    def change(number: int) -> None:
        at = (5 + 2 * number) * MB
        path.write_bytes(first[:at] + random.Random(number).randbytes(1000) + first[at + 1000 :])

    change(0)
    assert sent(alice) < MB
    assert sent(alice) == 0
    for number in range(1, 8):
        change(number)
        if sent(Machine(firm, tmp_path / f"elsewhere{number}")) < MB:
            break
    else:
        pytest.fail("no upload from elsewhere was spared what the server knows")
    assert any(sent(Machine(firm, tmp_path / f"again{number}")) == 0 for number in range(5))


def test_many_files_in_one_upload(firm: Company, alice: Machine, tmp_path: Path) -> None:
    repo, paths = firm.repo(), [tmp_path / f"{number}.bin" for number in range(30)]
    for number, path in enumerate(paths):
        path.write_bytes(random.Random(number).randbytes(1000 * number + 1))
    for path, (_, digest) in zip(paths, alice.run("upload", repo, *paths), strict=True):
        assert b"".join(firm.platform.blobs.read(digest)) == path.read_bytes()


def test_who_may_read_a_repository_may_read_its_files_and_no_others(
    firm: Company, alice: Machine, bob: Machine, tmp_path: Path
) -> None:
    shared, private = firm.repo(), firm.repo(private=True)
    path, out = tmp_path / "w.bin", tmp_path / "out.bin"
    hashes = []
    for repo, seed in ((shared, 1), (private, 2)):
        path.write_bytes(random.Random(seed).randbytes(200_000))
        [[hash, digest]] = alice.run("upload", repo, path)
        firm.commit(repo, "main", Add("w.bin", digest, 200_000, True))
        hashes.append(hash)
    bob.run("download", shared, hashes[0], 200_000, out)
    assert out.read_bytes() == random.Random(1).randbytes(200_000)
    for repo, hash in ((shared, hashes[1]), (private, hashes[1]), (private, hashes[0])):
        with pytest.raises(OSError, match=r"404|Not Found|not found"):
            bob.run("download", repo, hash, 200_000, out)
    with pytest.raises(OSError, match=r"403|404|Forbidden"):
        bob.run("upload", shared, path)
    path.write_bytes(b"from bob" * 10_000)
    [[_, digest]] = bob.run("upload", shared, path, revision="main?create_pr=1")
    with firm.platform.database.write() as connection:  # as the request's commit does
        note_files(connection, "alice", stored_files(connection, "bob", [digest]).values())
    firm.commit(shared, "main", Add("theirs.bin", digest, 80_000, True))
    firm.platform.hub.configure("alice", shared, private=True)
    with pytest.raises(OSError, match=r"404|Not Found|not found"):
        bob.run("download", shared, hashes[0], 200_000, out)


def test_a_token_opens_what_it_is_for_alone(firm: Company, alice: Machine, http: httpx.Client) -> None:
    repo, xorb = firm.repo(), MadeXorb([b"a" * 1000, b"b" * 1000])
    read, write = alice.pass_for(repo, "read"), alice.pass_for(repo)
    to = f"/v1/xorbs/default/{to_text(xorb.hash)}"
    key = {"authorization": f"Bearer {alice.token}"}
    assert http.post(to, content=xorb.content, headers=read).status_code == 403
    assert http.post(to, content=xorb.content, headers=key).status_code == 401
    assert http.post(to, content=xorb.content).status_code == 401
    forged = write["authorization"][:-1] + ("A" if write["authorization"][-1] != "A" else "B")
    assert http.post(to, content=xorb.content, headers={"authorization": forged}).status_code == 401
    assert http.head(to, headers=write).status_code == 404
    assert http.post(to, content=xorb.content, headers=write).json() == {"was_inserted": True}
    assert http.post(to, content=xorb.content, headers=write).json() == {"was_inserted": False}
    assert http.head(to, headers=write).status_code == 200
    for url in ("/v1/models", f"/api/models/{repo.path}", f"/{repo.path}/resolve/main/README.md"):
        got = httpx.get(firm.server.url + url, headers=write, trust_env=False)
        assert got.status_code == 401
    file, content = made_file((xorb, 0, 2))
    assert http.post("/v1/shards", content=shard_of(file), headers=read).status_code == 403
    assert http.post("/v1/shards", content=shard_of(file), headers=write).json() == {"result": 1}
    plan = http.get(f"/v1/reconstructions/{to_text(file.hash)}", headers={**read, "range": "bytes=1200-1299"}).json()
    assert plan["offset_into_first_range"] == 200
    [fetch] = plan["fetch_info"][to_text(xorb.hash)]
    assert fetch["url_range"] == {"start": 1008, "end": 2015}
    ranged = {"range": "bytes=1008-2015"}
    assert httpx.get(fetch["url"], headers=ranged, trust_env=False).content == xorb.content[1008:]
    assert httpx.get(fetch["url"], headers={"range": "bytes=0-2015"}, trust_env=False).status_code == 416
    beside = fetch["url"].replace("/v1/ranges/", "/v1/reconstructions/")
    assert httpx.get(beside, trust_env=False).status_code == 401
    behind = {**read, "range": f"bytes={len(content)}-{len(content)}"}
    assert http.get(f"/v2/reconstructions/{to_text(file.hash)}", headers=behind).status_code == 416
    assert http.get("/v1/reconstructions/x", headers=read).status_code == 400
    assert http.post("/v1/telemetry", json={}, headers=read).status_code == 404


def test_liars_are_told_so_and_the_server_goes_on(
    firm: Company, alice: Machine, bob: Machine, http: httpx.Client
) -> None:
    repo, xorb = firm.repo(), MadeXorb([b"c" * 1000])
    write = alice.pass_for(repo)
    to = f"/v1/xorbs/default/{to_text(xorb.hash)}"
    for content in (b"", xorb.content[:-1], xorb.content + b"x", os.urandom(MB)):
        assert http.post(to, content=content, headers=write).status_code == 400
    endless = (bytes(MB) for _ in range(80))
    assert http.post(to, content=endless, headers=write).status_code == 400
    assert http.post(f"/v1/xorbs/default/{'0' * 64}", content=xorb.content, headers=write).status_code == 400
    file, _ = made_file((xorb, 0, 1))
    for route in ("/v1/shards", "/v2/shards", "/shards"):
        for shard in (b"", b"x" * 1000, shard_of(file), shard_of(File(file.hash, [], [], None))):
            assert http.post(route, content=shard, headers=write).status_code == 400
    theirs = Machine(firm, bob.folder, "bob")
    own = RepoId("model", "bob", f"m-{random.randrange(10**9)}")
    firm.platform.hub.create("bob", own)
    assert http.post(to, content=xorb.content, headers=theirs.pass_for(own)).status_code == 200
    absent = http.post("/v1/shards", content=shard_of(file), headers=write)
    assert absent.status_code == 400  # bob's having it is nothing to alice
    assert http.post("/v2/shards", content=shard_of(file), headers=theirs.pass_for(own)).text == '{"type":"result"}\n'


def test_a_server_that_is_killed_between_xorb_and_shard_loses_nothing(tmp_path: Path) -> None:
    xorb = MadeXorb([random.Random(9).randbytes(10_000) for _ in range(30)])
    file, content = made_file((xorb, 0, 30))
    repo = RepoId("model", "alice", "m")
    with company(tmp_path / "home") as firm:
        firm.platform.hub.create("alice", repo)
        machine = Machine(firm, tmp_path / "alice")
        write = machine.pass_for(repo)
        to = f"{firm.server.url}/xet/v1/xorbs/default/{to_text(xorb.hash)}"
        assert httpx.post(to, content=xorb.content, headers=write, trust_env=False).status_code == 200
        firm.server.process.kill()
        firm.server.process.wait()
        token = machine.token
    with serving(tmp_path / "home") as again:
        url = again.url
        headers = {"authorization": f"Bearer {token}"}
        got = httpx.get(f"{url}/api/models/alice/m/xet-write-token/main", headers=headers, trust_env=False).json()
        write = {"authorization": f"Bearer {got['accessToken']}"}
        shard = httpx.post(f"{got['casUrl']}/v1/shards", content=shard_of(file), headers=write, trust_env=False)
        assert shard.json() == {"result": 1}
        place = tmp_path / "home" / "blobs" / sha256(content)[:2] / sha256(content)[2:]
        assert place.read_bytes() == content
