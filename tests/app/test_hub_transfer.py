"""Files in and out with the stock client: commits, Git LFS, downloads, and everything that can be wrong with them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub._local_folder import get_local_download_paths
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.lfs import UploadInfo, lfs_upload, post_lfs_batch_info

from craton.core.repo import RepoId
from tests.app.collaborating import Company, company

ODD = (
    "a b/ü + 100%.txt",
    "日本語/データ.txt",
    "dots..txt",
    "q?x=1&y#z.txt",
    "%41/%2F.txt",
    "deep/" * 20 + "er.txt",
    "'\"`$(x).txt",
)


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with company(tmp_path_factory.mktemp("transfer") / "home") as running:
        yield running


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def add(path: str, content: bytes) -> CommitOperationAdd:
    return CommitOperationAdd(path, content)


def large(path: str, content: bytes) -> CommitOperationAdd:
    """Goes by Git LFS, since the client sends no buffers through Xet."""
    return CommitOperationAdd(path, io.BytesIO(content))


def read(api: HfApi, repo: RepoId, path: str, revision: str | None = None) -> bytes:
    return Path(api.hf_hub_download(repo.path, path, revision=revision, cache_dir="cache")).read_bytes()


def http(firm: Company, key: HfApi | None = None) -> httpx.Client:
    token = (key or firm.alice).token
    return httpx.Client(
        base_url=firm.server.url, headers={"authorization": f"Bearer {token}"}, trust_env=False, timeout=60
    )


def code(error: pytest.ExceptionInfo[HfHubHTTPError]) -> int:
    return error.value.response.status_code


# --- commits ------------------------------------------------------------------------------------------------


def test_files_of_any_name_come_back_as_they_were(firm: Company) -> None:
    repo = firm.repo()
    contents = {path: f"{path}\n".encode() for path in ODD} | {"empty.txt": b"", "zeros.bin": b"\0" * 5000}
    firm.alice.create_commit(
        repo.path, [large(path, content) for path, content in contents.items()], commit_message="Odd names"
    )
    assert set(firm.alice.list_repo_files(repo.path)) == contents.keys() | {"README.md"}
    for path, content in contents.items():
        assert read(firm.alice, repo, path) == content


def test_how_a_file_is_sent_is_told_by_attributes_size_and_its_beginning(firm: Company) -> None:
    attributes = b'*.bin filter=lfs diff=lfs merge=lfs -text\n"with space.txt" filter=lfs\nplain/*.bin -filter\n'
    ignored = b"# secrets\n*.log\n!kept.log\n/build/\nlogs/**/debug\n"
    repo = firm.repo(files={".gitattributes": attributes, ".gitignore": ignored, "old.txt": b"old\n"})
    firm.alice.create_commit(repo.path, [large("old.bin", b"\0old")], commit_message="A large one")
    files = [
        ("a/x.bin", 4, b"text"),
        ("plain/x.bin", 4, b"text"),
        ("with space.txt", 4, b"text"),
        ("photo", 900, b"\x89PNG\0"),
        ("long.txt", 10 * 1024 * 1024 + 1, b"text"),
        ("long-enough.txt", 10 * 1024 * 1024, "größer".encode()),
        ("none.bin", 0, b""),
        ("run.log", 1, b"x"),
        ("kept.log", 1, b"x"),
        ("build/a/b.txt", 1, b"x"),
        ("sub/build/b.txt", 1, b"x"),
        ("logs/1/2/debug", 1, b"x"),
        ("old.txt", 4, b"new\n"),
        ("old.bin", 4, b"\0new"),
    ]
    question = [{"path": p, "size": s, "sample": base64.b64encode(b).decode()} for p, s, b in files]
    with http(firm) as client:
        answer = client.post(f"/api/models/{repo.path}/preupload/main", json={"files": question}).json()["files"]
        many = client.post(f"/api/models/{repo.path}/preupload/main", json={"files": question * 20})
        gone = client.post(f"/api/models/{repo.path}/preupload/nowhere", json={"files": question})
    assert [(it["path"], it["uploadMode"], it["shouldIgnore"]) for it in answer] == [
        ("a/x.bin", "lfs", False),
        ("plain/x.bin", "regular", False),
        ("with space.txt", "lfs", False),
        ("photo", "lfs", False),
        ("long.txt", "lfs", False),
        ("long-enough.txt", "regular", False),
        ("none.bin", "regular", False),
        ("run.log", "regular", True),
        ("kept.log", "regular", False),
        ("build/a/b.txt", "regular", True),
        ("sub/build/b.txt", "regular", False),
        ("logs/1/2/debug", "regular", True),
        ("old.txt", "regular", False),
        ("old.bin", "lfs", False),
    ]
    oids = {it["path"]: it.get("oid") for it in answer}
    assert oids["old.txt"] == "3367afdbbf91e638efe983616377c60477cc6612"  # git hash-object of "old\n"
    assert oids["old.bin"] == hashlib.sha256(b"\0old").hexdigest()
    assert oids["photo"] is None
    assert (many.status_code, gone.status_code) == (413, 404)


def test_a_commit_changes_all_or_nothing_and_tells_what_is_wrong(firm: Company) -> None:
    repo = firm.repo(files={"a.txt": b"a\n", "folder/b.txt": b"b\n", "folder/c.txt": b"c\n"})
    first = firm.alice.model_info(repo.path).sha
    assert first
    made = firm.alice.create_commit(
        repo.path,
        [add("d.txt", b"d\n"), CommitOperationDelete("folder/"), CommitOperationDelete("a.txt")],
        commit_message="Tidy up",
        commit_description="Folders are gone",
        parent_commit=first[:8],
    )
    assert made.commit_url == f"{firm.server.url}/{repo.path}/commit/{made.oid}"
    assert firm.alice.list_repo_files(repo.path) == ["d.txt"]
    commit = firm.alice.list_repo_commits(repo.path)[0]
    assert (commit.commit_id, commit.title, commit.authors) == (made.oid, "Tidy up", ["alice"])

    with pytest.raises(HfHubHTTPError) as stale:
        firm.alice.create_commit(repo.path, [add("e.txt", b"e")], commit_message="Late", parent_commit=first)
    assert code(stale) == 412
    with pytest.raises(EntryNotFoundError, match="A file with this name doesn't exist"):
        firm.alice.create_commit(
            repo.path, [add("e.txt", b"e"), CommitOperationDelete("nowhere.txt")], commit_message="Delete"
        )
    for revision in ("nowhere", "0" * 40):
        with pytest.raises(RevisionNotFoundError):
            firm.alice.upload_file(path_or_fileobj=b"e", path_in_repo="e.txt", repo_id=repo.path, revision=revision)
    with pytest.raises(RepositoryNotFoundError) as absent:
        firm.alice.upload_file(path_or_fileobj=b"e", path_in_repo="e.txt", repo_id="alice/nowhere")
    assert absent.value.request_id == absent.value.response.headers["x-request-id"]
    with pytest.raises(HfHubHTTPError) as foreign:
        firm.bob.upload_file(path_or_fileobj=b"e", path_in_repo="e.txt", repo_id=repo.path)
    assert code(foreign) == 403
    assert firm.alice.model_info(repo.path).sha == made.oid


def test_a_commit_that_changes_nothing_is_the_one_before(firm: Company) -> None:
    repo = firm.repo(files={"a.txt": b"a\n"})
    head = firm.alice.model_info(repo.path).sha
    lines = '{"key":"header","value":{"summary":"same"}}\n{"key":"file","value":{"path":"a.txt","content":"a\\n"}}\n'
    with http(firm) as client:
        reply = client.post(f"/api/models/{repo.path}/commit/main", content=lines)
    assert (reply.status_code, reply.json()["commitOid"]) == (200, head)
    assert firm.alice.upload_file(path_or_fileobj=b"a\n", path_in_repo="a.txt", repo_id=repo.path).oid == head
    assert len(firm.alice.list_repo_commits(repo.path)) == 1


HEADER = '{"key":"header","value":{"summary":"s"}}\n'


def line(key: str, **value: object) -> str:
    return json.dumps({"key": key, "value": value})


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "not valid"),
        (line("file", path="x", content="eA==", encoding="base64"), "header"),
        (line("header", summary=""), "summary"),
        (HEADER, "at least one operation"),
        (HEADER + line("file", path="x", content="?", encoding="base64"), "line 2"),
        (HEADER + line("file", path="x", content="x", encoding="rot13"), "rot13"),
        (HEADER + line("file", path="../x", content="x"), "not a path"),
        (HEADER + line("rename", path="x"), "rename"),
        (HEADER + line("lfsFile", path="x", oid="ab" * 32, size=3), "not uploaded"),
        (HEADER + line("lfsFile", path="x", oid="ab" * 32), "not uploaded"),
        (HEADER + line("lfsFile", path="x", oid="../x", size=3), "SHA-256"),
        (HEADER + '{"key":', "line 2"),
    ],
)
def test_bodies_that_are_no_commits_are_refused(firm: Company, lines: str, said: str) -> None:
    repo = firm.repo()
    with http(firm) as client:
        reply = client.post(f"/api/models/{repo.path}/commit/main", content=lines)
    assert reply.status_code == (422 if said in {"not a path", "not uploaded"} else 400)
    assert said in reply.json()["error"]
    assert firm.alice.list_repo_files(repo.path) == ["README.md"]


def test_a_file_too_large_for_a_commit_is_refused_before_it_is_whole(firm: Company) -> None:
    repo = firm.repo()

    def body() -> Iterator[bytes]:
        yield HEADER.encode() + b'{"key":"file","value":{"encoding":"base64","path":"x","content":"'
        for _ in range(15):
            yield b"A" * 1024 * 1024

    with http(firm) as client:
        assert client.post(f"/api/models/{repo.path}/commit/main", content=body()).status_code == 413


def test_folders_come_and_go_whole(firm: Company, tmp_path: Path) -> None:
    repo = firm.repo(files={".gitignore": b"*.tmp\n", "gone.txt": b"gone\n"})
    source = tmp_path / "source"
    for path, content in {"a.txt": b"a", "b/c.txt": b"c", "b/d.tmp": b"d", "w.bin": noise(300_000)}.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(content)
    firm.alice.upload_folder(repo_id=repo.path, folder_path=source, path_in_repo="sub", delete_patterns="*.txt")
    target = Path(firm.alice.snapshot_download(repo.path, local_dir=tmp_path / "target"))
    found = {it.relative_to(target).as_posix() for it in target.rglob("*") if it.is_file()}
    assert {it for it in found if not it.startswith(".cache")} == {
        ".gitignore",
        "gone.txt",
        "sub/a.txt",
        "sub/b/c.txt",
        "sub/w.bin",
    }
    assert (target / "sub/w.bin").read_bytes() == noise(300_000)


# --- Git LFS ------------------------------------------------------------------------------------------------


def test_parts_are_kept_until_all_are_there(firm: Company) -> None:
    repo, content = firm.repo(), noise(40 * 1024 * 1024, seed=7)
    info = UploadInfo.from_bytes(content)
    actions, errors, transfer = post_lfs_batch_info(
        [info], firm.alice.token, "model", repo.path, endpoint=firm.server.url, transfers=["multipart"]
    )
    upload = actions[0]["actions"]["upload"]
    assert (errors, transfer, sorted(upload["header"])) == ([], "multipart", ["1", "2", "3", "chunk_size"])
    size = int(upload["header"]["chunk_size"])
    with httpx.Client(trust_env=False, timeout=60) as client:
        etags = {}
        for number in (3, 1):
            part = content[(number - 1) * size : number * size]
            etags[number] = client.put(upload["header"][str(number)], content=part).headers["etag"]
        short = client.put(upload["header"]["2"], content=content[:5])
        early = [{"partNumber": number, "etag": etags.get(number, '"' + "0" * 64 + '"')} for number in (1, 2, 3)]
        missing = client.post(upload["href"], json={"oid": actions[0]["oid"], "parts": early})
    assert (short.status_code, missing.status_code) == (400, 400)
    assert "part 2" in missing.json()["error"]
    lfs_upload(large("x", content), actions[0], token=firm.alice.token, endpoint=firm.server.url)
    lfs_upload(large("x", content[:-1] + b"!"), post_lfs_batch_info(
        [info], firm.alice.token, "model", repo.path, endpoint=firm.server.url
    )[0][0], token=firm.alice.token, endpoint=firm.server.url)  # nothing is sent: it is there  # fmt: skip
    firm.alice.create_commit(repo.path, [large("x.bin", content)], commit_message="In parts")
    assert read(firm.alice, repo, "x.bin") == content
    assert not list((firm.server.home / "uploads").rglob("*.*"))


def test_parts_that_make_something_else_are_refused_and_forgotten(firm: Company) -> None:
    repo, content = firm.repo(), noise(20 * 1024 * 1024, seed=8)
    actions, _, _ = post_lfs_batch_info(
        [UploadInfo.from_bytes(content)], firm.alice.token, "model", repo.path,
        endpoint=firm.server.url, transfers=["multipart"],
    )  # fmt: skip
    operation = large("x", content)
    operation.path_or_fileobj = io.BytesIO(content[:-1] + b"!")
    with pytest.raises(HfHubHTTPError) as wrong:
        lfs_upload(operation, actions[0], token=firm.alice.token, endpoint=firm.server.url)
    assert code(wrong) == 400
    assert "do not make the file" in str(wrong.value)
    assert not list((firm.server.home / "uploads").rglob("*.*"))


def test_what_is_not_what_was_announced_is_refused_and_not_kept(firm: Company) -> None:
    repo, content = firm.repo(), noise(100_000, seed=9)
    digest = hashlib.sha256(content).hexdigest()
    url = f"/{repo.path}.git/info/lfs/objects/batch"
    with http(firm) as client, httpx.Client(trust_env=False, timeout=60) as bare:
        asked = {"operation": "upload", "objects": [{"oid": digest, "size": len(content)}]}
        href = client.post(url, json=asked).json()["objects"][0]["actions"]["upload"]["href"]
        assert bare.put(href, content=content[:-1]).status_code == 400
        assert bare.put(href, content=content[:-1] + b"!").status_code == 400
        assert bare.put(href, content=iter([content, b"more"])).status_code == 400
        assert bare.put(href[:-4] + "AAAA", content=content).status_code == 401
        assert bare.put(href.replace(digest, "0" * 64), content=content).status_code == 401
        assert bare.put(href.partition("?")[0], content=content).status_code == 401
        assert client.post(url, json=asked).json()["objects"][0]["actions"]
        assert bare.put(href, content=content).status_code == 200
        again = client.post(url, json=asked).json()["objects"][0]
        verify = f"/{repo.path}.git/info/lfs/objects/verify"
        assert client.post(verify, json={"oid": digest, "size": len(content)}).status_code == 200
        assert client.post(verify, json={"oid": digest, "size": 5}).status_code == 400
        assert "actions" not in again
        bad = [{"oid": "x", "size": 1}, {"oid": digest, "size": -1}, {"oid": digest, "size": 7}]
        answers = client.post(url, json={"operation": "upload", "objects": bad}).json()["objects"]
        assert [it["error"]["code"] for it in answers] == [422, 422, 422]
        assert client.post(url, json={"operation": "download", "objects": []}).status_code == 400


def test_knowing_a_digest_of_another_tenant_grants_nothing(firm: Company) -> None:
    repo, content = firm.repo(private=True), noise(50_000, seed=10)
    firm.alice.create_commit(repo.path, [large("secret.bin", content)], commit_message="Secret")
    firm.bob.create_repo("bob/own", exist_ok=True)
    digest = hashlib.sha256(content).hexdigest()
    asked = {"operation": "upload", "objects": [{"oid": digest, "size": len(content)}]}
    claim = HEADER + line("lfsFile", path="x", oid=digest, size=len(content))
    with http(firm, firm.bob) as client:
        batch = client.post("/bob/own.git/info/lfs/objects/batch", json=asked).json()["objects"][0]
        commit = client.post("/api/models/bob/own/commit/main", content=claim)
        foreign = client.post(f"/{repo.path}.git/info/lfs/objects/batch", json=asked)
    assert "actions" in batch
    assert (commit.status_code, foreign.status_code) == (422, 404)


# --- downloads ----------------------------------------------------------------------------------------------


def test_ranges_etags_and_types(firm: Company) -> None:
    repo, content = firm.repo(files={"page.html": b"<script>1</script>", "a.txt": b"a\n"}), noise(6_000_000, seed=11)
    made = firm.alice.create_commit(repo.path, [large("dir/w.bin", content)], commit_message="Weights")
    digest = hashlib.sha256(content).hexdigest()
    url = f"/{repo.path}/resolve/main/dir/w.bin"
    with http(firm) as client:
        head = client.head(url)
        assert head.status_code == 200
        assert head.headers["etag"] == head.headers["x-linked-etag"] == f'"{digest}"'
        assert head.headers["x-linked-size"] == head.headers["content-length"] == "6000000"
        assert head.headers["x-repo-commit"] == made.oid
        assert "x-xet-hash" not in head.headers
        for asked, start, end in (
            ("bytes=0-0", 0, 1),
            ("bytes=10-1999999", 10, 2_000_000),
            ("bytes=5999000-", 5_999_000, 6_000_000),
            ("bytes=-7", 5_999_993, 6_000_000),
            ("bytes=-99999999999", 0, 6_000_000),
            ("bytes=5-99999999999", 5, 6_000_000),
        ):
            part = client.get(url, headers={"range": asked})
            assert (part.status_code, part.content == content[start:end]) == (206, True)
            assert part.headers["content-range"] == f"bytes {start}-{end - 1}/6000000"
        for asked in ("bytes=6000000-", "bytes=-0"):
            none = client.get(url, headers={"range": asked})
            assert (none.status_code, none.headers["content-range"]) == (416, "bytes */6000000")
        for whole in ("bytes=5-4", "bytes=x-", "items=0-4", "bytes=0-1,4-5", "bytes=" + "9" * 300 + "-"):
            assert len(client.get(url, headers={"range": whole}).content) == 6_000_000
        assert client.get(url, headers={"range": "bytes=0-4", "if-range": f'"{digest}"'}).status_code == 206
        assert client.get(url, headers={"range": "bytes=0-4", "if-range": '"other"'}).status_code == 200
        assert client.get(url, headers={"if-none-match": f'"x", W/"{digest}"'}).status_code == 304
        page = client.get(f"/{repo.path}/resolve/{made.oid}/page.html")
        assert page.headers["content-type"] == "application/octet-stream"
        assert page.headers["content-disposition"].startswith("attachment;")
        assert page.headers["x-content-type-options"] == "nosniff"
        assert client.get(f"/{repo.path}/raw/main/a.txt").content == b"a\n"
        assert client.get(f"/{repo.path}/raw/main/dir/w.bin").text == (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 6000000\n"
        )
        missing = client.head(f"/{repo.path}/resolve/main/nowhere.txt")
        assert (missing.status_code, missing.headers["x-error-code"]) == (404, "EntryNotFound")
        assert missing.headers["x-repo-commit"] == made.oid


def test_what_may_not_be_read_is_told_as_the_client_knows_it(firm: Company) -> None:
    private, gated, shared = firm.repo(private=True), firm.repo(gated="manual"), firm.repo()
    with pytest.raises(RepositoryNotFoundError):
        firm.bob.hf_hub_download(private.path, "README.md", cache_dir="cache")
    with pytest.raises(GatedRepoError):
        firm.bob.hf_hub_download(gated.path, "README.md", cache_dir="cache")
    with pytest.raises(EntryNotFoundError):
        firm.bob.hf_hub_download(shared.path, "nowhere.txt", cache_dir="cache")
    assert not firm.bob.file_exists(shared.path, "x" * 5000)
    with pytest.raises(RevisionNotFoundError):
        firm.bob.hf_hub_download(shared.path, "README.md", revision="nowhere", cache_dir="cache")
    assert read(firm.bob, shared, "README.md") == b"hello\n"


def test_downloads_are_resumed_where_they_stopped(firm: Company) -> None:
    repo, content = firm.repo(), noise(3_000_000, seed=12)
    firm.alice.create_commit(repo.path, [large("w.bin", content)], commit_message="Weights")
    folder = Path("local")
    unfinished = folder / ".cache/huggingface/download"
    firm.alice.hf_hub_download(repo.path, "w.bin", local_dir=folder)
    (folder / "w.bin").unlink()
    unfinished.mkdir(parents=True, exist_ok=True)
    etag = hashlib.sha256(content).hexdigest()
    paths = get_local_download_paths(folder, "w.bin")
    paths.incomplete_path(etag).write_bytes(content[:1_000_000])
    firm.alice.hf_hub_download(repo.path, "w.bin", local_dir=folder)
    assert (folder / "w.bin").read_bytes() == content


def test_damaged_files_are_not_given_for_whole(firm: Company) -> None:
    repo, content = firm.repo(), noise(9_000_000, seed=13)
    firm.alice.create_commit(repo.path, [large("w.bin", content)], commit_message="Weights")
    digest = hashlib.sha256(content).hexdigest()
    place = firm.server.home / "blobs" / digest[:2] / digest[2:]
    os.chmod(place, 0o600)
    place.write_bytes(content[:5_000_000] + b"!" + content[5_000_001:])
    url = f"/{repo.path}/resolve/main/w.bin"
    with http(firm) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(url)
        assert client.get(url, headers={"range": "bytes=8000000-"}).status_code == 500
        assert client.get(url).status_code == 500
        with pytest.raises(HfHubHTTPError):
            firm.alice.hf_hub_download(repo.path, "w.bin", cache_dir="cache")
        place.write_bytes(content)
        assert client.get(url).content == content


def test_one_connection_serves_files_and_answers_in_turn(firm: Company) -> None:
    """The kernel writes files into the socket beside its transport: nothing may get into another's place."""
    repo, content = firm.repo(), noise(5_000_000, seed=14)
    firm.alice.create_commit(repo.path, [large("w.bin", content)], commit_message="Weights")
    before = len(firm.server.log.read_text())
    with http(firm) as client:
        for _ in range(5):
            assert client.get(f"/{repo.path}/resolve/main/w.bin").content == content
            assert client.get(f"/api/models/{repo.path}").json()["id"] == repo.path
            with client.stream("GET", f"/{repo.path}/resolve/main/w.bin") as stream:
                next(stream.iter_raw(1000))  # the client leaves in the middle
    assert "Traceback" not in firm.server.log.read_text()[before:]


# --- the command line ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("xet", [False, True])
def test_the_command_line_uploads_and_downloads(firm: Company, tmp_path: Path, xet: bool) -> None:
    repo = firm.repo(private=True)
    source = tmp_path / "source"
    source.mkdir()
    (source / "w.safetensors").write_bytes(noise(2_000_000, seed=15 + xet))
    (source / "notes.md").write_text("notes\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "HF_ENDPOINT": firm.server.url,
        "HF_TOKEN": str(firm.alice.token),
        "HF_HUB_DISABLE_XET": "" if xet else "1",
    }

    def hf(*arguments: str) -> str:
        command = [str(Path(sys.executable).parent / "hf"), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    hf("upload", repo.path, str(source), ".")
    hf("download", repo.path, "--local-dir", str(tmp_path / "target"))
    for path in ("w.safetensors", "notes.md"):
        assert (tmp_path / "target" / path).read_bytes() == (source / path).read_bytes()


def test_clients_are_told_of_chunks_from_a_size_on(tmp_path: Path) -> None:
    """A client of its own process, since what it reads of a file's chunks it keeps for as long as that lives."""
    content = random.Random(7).randbytes(3_000_000)
    (tmp_path / "large.bin").write_bytes(content)
    with company(tmp_path / "home", '[hub]\nxet_above = "1MB"\n') as firm:
        firm.alice.create_repo("alice/chunks")
        firm.alice.upload_file(path_or_fileobj=tmp_path / "large.bin", path_in_repo="large.bin", repo_id="alice/chunks")
        url = f"{firm.server.url}/alice/chunks/resolve/main/large.bin"
        headers = httpx.head(url, headers={"authorization": f"Bearer {firm.alice.token}"}).headers
        assert len(headers["x-xet-hash"]) == 64
        assert headers["x-xet-refresh-route"].startswith(f"{firm.server.url}/api/models/alice/chunks/xet-read-token/")
        script = (
            "import sys; from huggingface_hub import hf_hub_download;"
            "print(hf_hub_download('alice/chunks', 'large.bin', local_dir=sys.argv[1]))"
        )
        environment = {**os.environ, "HF_ENDPOINT": firm.server.url, "HF_TOKEN": str(firm.alice.token)}
        environment |= {"HF_HOME": str(tmp_path / "client"), "HF_HUB_DISABLE_TELEMETRY": "1"}
        command = [sys.executable, "-c", script, str(tmp_path / "there")]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
        assert (tmp_path / "there" / "large.bin").read_bytes() == content
        metrics = firm.server.client().get("/metrics").text
        assert [line for line in metrics.splitlines() if "GetXorbRange" in line]
