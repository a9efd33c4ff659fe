"""The `hf` command line: repositories, files up and down, versions, proposals, its cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

from checks import WRONG_TOKEN, equal, holds, raises, run

HF = Path(sys.executable).parent / "hf"
work = tempfile.TemporaryDirectory()
here = Path(work.name) / "here"
cache = Path(work.name) / "cache"
namespace = f"cli-{uuid.uuid4().hex[:8]}"
FILES = {
    "README.md": b"---\nlicense: mit\npipeline_tag: fill-mask\n---\n# It\n",
    "config.json": b"{}\n",
    "deep er/ü.txt": b"odd",
    "model.safetensors": (8).to_bytes(8, "little") + b"{}      ",
    "large.bin": os.urandom(12_000_000),
}


class Failed(Exception):
    """The command ended with an error, whose words these are."""


def hf(*arguments: str, token: str = "") -> str:
    environment = os.environ | {"HF_HUB_CACHE": str(cache), "NO_COLOR": "1"} | ({"HF_TOKEN": token} if token else {})
    command = [sys.executable, str(HF), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=120)
    if done.returncode:
        raise Failed(f"{arguments[:3]}: {done.stderr.decode()[-2000:]}")
    return done.stdout.decode()


def said(*arguments: str) -> Any:
    return json.loads(hf(*arguments, "--format", "json"))


def new_repo(*options: str) -> str:
    name = f"{namespace}/repo-{uuid.uuid4().hex[:8]}"
    hf("repos", "create", name, *options)
    return name


def filled() -> str:
    repo = new_repo()
    hf("upload", repo, str(here), ".", "--commit-message", "all of it")
    return repo


def make_files() -> None:
    for name, content in FILES.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(content)


def who_am_i() -> None:
    holds(said("auth", "whoami")["user"], "no user")


def repositories_are_made_listed_moved_and_deleted() -> None:
    repo, data = new_repo("--private"), new_repo("--type", "dataset")
    found = {(one["id"], one["type"]) for one in said("repos", "list", "--namespace", namespace)}
    holds({(repo, "model"), (data, "dataset")} <= found, f"{found}")
    holds(repo in [one["id"] for one in said("models", "list", "--author", namespace)], "it is not listed")
    holds(data in [one["id"] for one in said("datasets", "list", "--author", namespace)], "it is not listed")
    hf("repos", "settings", repo, "--public")
    equal(said("models", "info", repo)["private"], False)
    hf("repos", "move", repo, f"{repo}-moved")
    hf("repos", "delete", f"{repo}-moved", "--yes")
    with raises(Failed, says="not found"):
        hf("models", "info", f"{repo}-moved")


def a_folder_goes_up_and_comes_down() -> None:
    repo, back = filled(), Path(work.name) / uuid.uuid4().hex
    hf("download", repo, "--local-dir", str(back))
    for name, content in FILES.items():
        holds((back / name).read_bytes() == content, f"{name} differs")
    info = said("models", "info", repo)
    equal(info["pipeline_tag"], "fill-mask")
    holds("license:mit" in info["tags"], "the license is not told")


def one_file_goes_up_and_comes_down() -> None:
    repo = new_repo("--type", "dataset")
    hf("upload", repo, str(here / "large.bin"), "data/one.bin", "--type", "dataset")
    path = hf("download", repo, "data/one.bin", "--type", "dataset", "--quiet").strip()
    holds(Path(path).read_bytes() == FILES["large.bin"], "it differs")


def some_files_by_pattern() -> None:
    repo, back = filled(), Path(work.name) / uuid.uuid4().hex
    hf("download", repo, "--include", "*.json", "--include", "*.md", "--exclude", "README.md", "--local-dir", str(back))
    equal(sorted(path.name for path in back.iterdir() if path.is_file()), ["config.json"])


def files_are_listed_and_deleted() -> None:
    repo = filled()
    holds("config.json" in hf("models", "list", repo), "it is not listed")
    hf("repos", "delete-files", repo, "*.json", "large.bin")
    left = hf("models", "list", repo, "--recursive")
    holds("config.json" not in left and "large.bin" not in left and "README.md" in left, left)


def branches_and_tags() -> None:
    repo = filled()
    hf("repos", "tag", "create", repo, "v1", "--message", "the first")
    hf("repos", "branch", "create", repo, "try")
    hf("upload", repo, str(here / "config.json"), "other.json", "--revision", "try")
    holds("v1" in hf("repos", "tag", "list", repo), "the tag is not listed")
    hf("download", repo, "other.json", "--revision", "try")
    with raises(Failed, says="File not found"):
        hf("download", repo, "other.json", "--revision", "v1")
    hf("repos", "tag", "delete", repo, "v1", "--yes")
    hf("repos", "branch", "delete", repo, "try")


def a_proposal_is_made_and_merged() -> None:
    repo = filled()
    hf("upload", repo, str(here / "config.json"), "proposed.json", "--create-pr", "--commit-message", "More")
    holds("+{}" in hf("discussions", "diff", repo, "1"), "the diff does not show the change")
    hf("discussions", "comment", repo, "1", "--body", "Fine.")
    hf("discussions", "merge", repo, "1", "--yes")
    hf("download", repo, "proposed.json")
    hf("discussions", "create", repo, "--title", "A question", "--body", "Why?")
    holds("A question" in hf("discussions", "list", repo), "it is not listed")


def the_cache_is_verified() -> None:
    repo = filled()
    hf("download", repo)
    hf("cache", "verify", repo)
    holds(repo in hf("cache", "list"), "it is not listed")


def a_repository_is_duplicated() -> None:
    repo = filled()
    hf("repos", "duplicate", repo, f"{repo}-copy")
    holds("large.bin" in hf("models", "list", f"{repo}-copy"), "the copy is not whole")


def a_wrong_key_is_refused() -> None:
    with raises(Failed):
        hf("auth", "whoami", token=WRONG_TOKEN)
    with raises(Failed):
        hf("repos", "create", f"{namespace}/not", token=WRONG_TOKEN)


make_files()
run(
    [
        who_am_i,
        repositories_are_made_listed_moved_and_deleted,
        a_folder_goes_up_and_comes_down,
        one_file_goes_up_and_comes_down,
        some_files_by_pattern,
        files_are_listed_and_deleted,
        branches_and_tags,
        a_proposal_is_made_and_merged,
        the_cache_is_verified,
        a_repository_is_duplicated,
        a_wrong_key_is_refused,
    ]
)
