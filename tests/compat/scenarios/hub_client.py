"""What a program does with huggingface_hub: repositories, files in and out, versions, talk about them, errors."""

from __future__ import annotations

import os
import tempfile
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import Any

from checks import WRONG_TOKEN, Absent, equal, holds, need, raises, run
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi, get_hf_file_metadata
from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

api: Any = HfApi()  # HF_ENDPOINT and HF_TOKEN say where and who
work = tempfile.TemporaryDirectory()
folder = Path(work.name)
SMALL = b'{"layers": 2}\n'
LARGE = os.urandom(17_000_000)
ODD = "deep/a b/ü + 100%.txt"


def new_repo(**options: Any) -> str:
    name = f"compat/repo-{uuid.uuid4().hex[:12]}"
    equal(api.create_repo(name, **options).repo_id, name)
    return name


def filled() -> str:
    """A repository with one file of each kind."""
    repo = new_repo()
    add = [CommitOperationAdd("config.json", SMALL), CommitOperationAdd("notes.bin", b"\0" * 1000)]
    api.create_commit(repo, add, commit_message="first")
    return repo


def read(repo: str, path: str, **options: Any) -> bytes:
    return Path(api.hf_hub_download(repo, path, cache_dir=folder / uuid.uuid4().hex, **options)).read_bytes()


def who_am_i() -> None:
    me = api.whoami()
    equal((me["type"], me["auth"]["type"]), ("user", "access_token"))
    holds(me["name"], "no name")


def a_repository_of_each_kind() -> None:
    for kind, more in (("model", {}), ("dataset", {}), ("space", {"space_sdk": "static"})):
        repo = new_repo(repo_type=kind, **more)
        holds(api.repo_exists(repo, repo_type=kind), "it is not there")
        equal(api.create_repo(repo, repo_type=kind, exist_ok=True, **more).repo_id, repo)
        moved = f"{repo}-moved"
        api.move_repo(repo, moved, repo_type=kind)
        equal(api.repo_info(repo, repo_type=kind).id, moved)
        api.delete_repo(moved, repo_type=kind)
        holds(not api.repo_exists(moved, repo_type=kind), "it is still there")
        api.delete_repo(moved, repo_type=kind, missing_ok=True)


def settings() -> None:
    repo = new_repo(private=True)
    equal(api.model_info(repo).private, True)
    need(api, "update_repo_settings")(repo, private=False)
    equal(api.model_info(repo).private, False)


def a_small_file() -> None:
    repo = new_repo()
    made = api.upload_file(repo_id=repo, path_in_repo=ODD, path_or_fileobj=SMALL, commit_message="one")
    equal(read(repo, ODD), SMALL)
    equal(made.oid, api.model_info(repo).sha)
    api.delete_file(ODD, repo)
    holds(not api.file_exists(repo, ODD), "it is still there")


def a_large_file() -> None:
    """From a path: in chunks where hf_xet is there and wanted, over Git LFS where not."""
    repo, source = new_repo(), folder / "large.safetensors"
    source.write_bytes(LARGE)
    api.upload_file(repo_id=repo, path_in_repo="large.safetensors", path_or_fileobj=source)
    equal(read(repo, "large.safetensors") == LARGE, True)
    (file,) = api.get_paths_info(repo, ["large.safetensors"])
    equal((file.size, file.lfs.size), (len(LARGE), len(LARGE)))
    source.write_bytes(LARGE[:9_000_000] + b"changed" + LARGE[9_000_000:])
    api.upload_file(repo_id=repo, path_in_repo="large.safetensors", path_or_fileobj=source)
    equal(read(repo, "large.safetensors") == source.read_bytes(), True)


def a_large_file_from_memory() -> None:
    repo = new_repo()
    api.upload_file(repo_id=repo, path_in_repo="large.bin", path_or_fileobj=LARGE)
    equal(read(repo, "large.bin") == LARGE, True)


def large_files_come_as_chunks() -> None:
    """The server offers them (`[hub] xet_above`), and this client can take them."""
    if os.environ.get("HF_HUB_DISABLE_XET"):
        raise Absent("this client was told to leave Xet alone")
    version("hf_xet")
    repo = new_repo()
    (folder / "chunks.bin").write_bytes(LARGE)
    api.upload_file(repo_id=repo, path_in_repo="chunks.bin", path_or_fileobj=folder / "chunks.bin")
    about = get_hf_file_metadata(f"{api.endpoint}/{repo}/resolve/main/chunks.bin")
    holds(about.xet_file_data, "chunks are not offered")
    equal(about.size, len(LARGE))


def a_folder() -> None:
    source, repo = folder / "to upload", new_repo(repo_type="dataset")
    for path, content in {"README.md": b"# Data\n", "data/a.csv": b"x\n1\n", "data/skip.log": b"no"}.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(content)
    (source / "data" / "big.parquet").write_bytes(LARGE[:3_000_000])
    api.upload_folder(repo_id=repo, repo_type="dataset", folder_path=source, ignore_patterns="*.log")
    kept = [".gitattributes", "README.md", "data/a.csv", "data/big.parquet"]
    equal(sorted(api.list_repo_files(repo, repo_type="dataset")), kept)
    api.upload_folder(repo_id=repo, repo_type="dataset", folder_path=source / "data", delete_patterns="data/*.csv")
    equal(sorted(api.list_repo_files(repo, repo_type="dataset"))[-2:], ["data/big.parquet", "skip.log"])


def a_large_folder() -> None:
    source, repo = folder / "many", new_repo()
    source.mkdir()
    for number in range(30):
        (source / f"{number:02}.bin").write_bytes(bytes([number]) * 2000)
    need(api, "upload_large_folder")(repo_id=repo, repo_type="model", folder_path=source, print_report=False)
    equal(len(api.list_repo_files(repo)), 31)


def a_commit_adds_copies_and_deletes() -> None:
    repo = filled()
    before = api.model_info(repo).sha
    operations = [
        CommitOperationAdd("new.txt", b"new"),
        CommitOperationCopy("notes.bin", "copies/notes.bin"),
        CommitOperationCopy("config.json", "copies/config.json"),
        CommitOperationDelete("notes.bin"),
    ]
    made = api.create_commit(
        repo, operations, commit_message="all at once", commit_description="why", parent_commit=before
    )
    files = ["config.json", "copies/config.json", "copies/notes.bin", "new.txt"]
    equal(sorted(api.list_repo_files(repo, revision=made.oid))[1:], files)
    equal(read(repo, "copies/notes.bin"), b"\0" * 1000)
    api.create_commit(repo, [CommitOperationDelete("copies/", is_folder=True)], commit_message="less")
    equal(sorted(api.list_repo_files(repo))[1:], ["config.json", "new.txt"])
    with raises(HfHubHTTPError, 412):
        again = [CommitOperationAdd("new.txt", b"newer")]
        api.create_commit(repo, again, commit_message="too late", parent_commit=before)


def history_and_trees() -> None:
    repo = filled()
    equal([commit.title for commit in api.list_repo_commits(repo)], ["first", "initial commit"])
    tree = {entry.path: entry for entry in api.list_repo_tree(repo, recursive=True, expand=True)}
    equal(tree["config.json"].size, len(SMALL))
    equal(tree["config.json"].last_commit.title, "first")
    api.super_squash_history(repo, commit_message="one")
    equal([commit.title for commit in api.list_repo_commits(repo)], ["one"])
    equal(read(repo, "config.json"), SMALL)


def branches_and_tags() -> None:
    repo = filled()
    first = api.model_info(repo).sha
    api.create_tag(repo, tag="v1", tag_message="the first")
    api.create_branch(repo, branch="try")
    api.upload_file(repo_id=repo, path_in_repo="config.json", path_or_fileobj=b"other", revision="try")
    equal(read(repo, "config.json", revision="try"), b"other")
    equal([read(repo, "config.json", revision=name) for name in ("main", "v1", first)], [SMALL] * 3)
    refs = api.list_repo_refs(repo)
    equal(sorted(ref.name for ref in refs.branches), ["main", "try"])
    equal([ref.name for ref in refs.tags], ["v1"])
    with raises(HfHubHTTPError, 409):
        api.create_tag(repo, tag="v1")
    api.delete_tag(repo, tag="v1")
    api.delete_branch(repo, branch="try")
    holds(not api.revision_exists(repo, "try"), "it is still there")


def what_is_said_about_a_model() -> None:
    repo, word = filled(), uuid.uuid4().hex[:12]
    card = f"---\nlicense: mit\ntags: [compat, {word}]\npipeline_tag: text-generation\n---\n# It\n"
    api.upload_file(repo_id=repo, path_in_repo="README.md", path_or_fileobj=card.encode())
    info = api.model_info(repo, files_metadata=True)
    equal((info.pipeline_tag, info.card_data.license), ("text-generation", "mit"))
    sizes = {file.rfilename: file.size for file in info.siblings}
    equal((sizes["config.json"], sizes["notes.bin"]), (len(SMALL), 1000))
    equal([model.id for model in api.list_models(filter=word)], [repo])
    equal([model.id for model in api.list_models(search=repo.split("/")[1])], [repo])
    equal(api.model_info(repo, expand=["tags", "sha"]).sha, info.sha)


def listing_by_author_goes_page_by_page() -> None:
    author = f"many-{uuid.uuid4().hex[:8]}"
    for number in range(5):
        api.create_repo(f"{author}/number-{number}", repo_type="dataset")
    equal(len(list(api.list_datasets(author=author))), 5)
    equal(len(list(api.list_datasets(author=author, limit=3))), 3)


def a_snapshot() -> None:
    repo = filled()
    found = Path(api.snapshot_download(repo, cache_dir=folder / "cache", allow_patterns="*.json"))
    equal(sorted(path.name for path in found.iterdir()), ["config.json"])
    equal(found.name, api.model_info(repo).sha)
    here = folder / uuid.uuid4().hex
    api.snapshot_download(repo, local_dir=here)
    equal((here / "notes.bin").read_bytes(), b"\0" * 1000)


def a_download_comes_from_the_cache() -> None:
    repo, cache = filled(), folder / uuid.uuid4().hex
    with raises(LocalEntryNotFoundError):
        api.hf_hub_download(repo, "config.json", cache_dir=cache, local_files_only=True)
    first = api.hf_hub_download(repo, "config.json", cache_dir=cache)
    equal(api.hf_hub_download(repo, "config.json", cache_dir=cache, local_files_only=True), first)


def files_as_a_file_system() -> None:
    from huggingface_hub import HfFileSystem

    files: Any = HfFileSystem()
    repo = filled()
    equal(files.cat(f"{repo}/config.json"), SMALL)
    with files.open(f"{repo}/written.txt", "wb") as file:
        file.write(b"by a file system")
    with files.open(f"{repo}/written.txt", "rb") as file:
        file.seek(3)
        equal(file.read(), b"a file system")
    equal(sorted(Path(name).name for name in files.glob(f"{repo}/*.txt")), ["written.txt"])
    files.rm(f"{repo}/written.txt")
    holds(not files.exists(f"{repo}/written.txt"), "it is still there")


def a_discussion() -> None:
    repo = filled()
    opened = api.create_discussion(repo, "A question", description="Why two layers?")
    api.comment_discussion(repo, opened.num, comment="Because.")
    api.rename_discussion(repo, opened.num, new_title="Two layers")
    api.change_discussion_status(repo, opened.num, new_status="closed")
    found = api.get_discussion_details(repo, opened.num)
    equal((found.title, found.status, found.is_pull_request), ("Two layers", "closed", False))
    equal([event.content for event in found.events if event.type == "comment"], ["Why two layers?", "Because."])
    equal([one.title for one in api.get_repo_discussions(repo)], ["Two layers"])


def a_pull_request() -> None:
    repo = filled()
    made = api.create_commit(
        repo, [CommitOperationAdd("config.json", b'{"layers": 3}\n')], commit_message="Deeper", create_pr=True
    )
    equal(read(repo, "config.json"), SMALL)
    equal(read(repo, "config.json", revision=made.pr_revision), b'{"layers": 3}\n')
    found = api.get_discussion_details(repo, made.pr_num)
    holds('+{"layers": 3}' in found.diff, "the diff does not show the change")
    api.merge_pull_request(repo, made.pr_num)
    equal(read(repo, "config.json"), b'{"layers": 3}\n')
    equal(api.get_discussion_details(repo, made.pr_num).status, "merged")


def a_collection() -> None:
    repo = filled()
    made = api.create_collection(f"Compat {uuid.uuid4().hex[:8]}", namespace=api.whoami()["name"])
    api.add_collection_item(made.slug, item_id=repo, item_type="model", note="look")
    equal([item.item_id for item in api.get_collection(made.slug).items], [repo])
    api.delete_collection(made.slug)


def what_is_not_there_has_its_type() -> None:
    repo = filled()
    with raises(RepositoryNotFoundError, 404):
        api.model_info("compat/nothing-here")
    with raises(RepositoryNotFoundError):
        api.hf_hub_download("compat/nothing-here", "config.json", cache_dir=folder / "cache")
    with raises(RevisionNotFoundError, 404):
        api.model_info(repo, revision="nothing")
    with raises(EntryNotFoundError, 404):
        api.hf_hub_download(repo, "nothing.json", cache_dir=folder / "cache")


def what_is_wrong_is_refused() -> None:
    repo = filled()
    with raises(HfHubHTTPError, 409):
        api.create_repo(repo)
    with raises(ValueError, says="Invalid metadata in README.md"):
        api.upload_file(repo_id=repo, path_in_repo="README.md", path_or_fileobj=b"---\nlicense: [\n---\n")
    with raises(BadRequestError, 400):
        api.model_info(repo, expand=["nothing"])
    with raises(OSError, 401):  # of requests' in 0.x
        HfApi(token=WRONG_TOKEN).whoami()
    with raises(HfHubHTTPError, 401):
        HfApi(token=False).create_repo("compat/by-nobody")


run(
    [
        who_am_i,
        a_repository_of_each_kind,
        settings,
        a_small_file,
        a_large_file,
        a_large_file_from_memory,
        large_files_come_as_chunks,
        a_folder,
        a_large_folder,
        a_commit_adds_copies_and_deletes,
        history_and_trees,
        branches_and_tags,
        what_is_said_about_a_model,
        listing_by_author_goes_page_by_page,
        a_snapshot,
        a_download_comes_from_the_cache,
        files_as_a_file_system,
        a_discussion,
        a_pull_request,
        a_collection,
        what_is_not_there_has_its_type,
        what_is_wrong_is_refused,
    ]
)
