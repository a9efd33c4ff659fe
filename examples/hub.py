"""A home for a model, with unmodified huggingface_hub: `craton exec -- python examples/hub.py`."""

import json
import secrets
import tempfile
from pathlib import Path

import numpy as np
from huggingface_hub import HfApi
from safetensors.numpy import load_file, save_file

api = HfApi()  # HF_ENDPOINT and HF_TOKEN say where and who
repo = f"examples/model-{secrets.token_hex(4)}"

with tempfile.TemporaryDirectory() as temporary:
    folder, cache = Path(temporary) / "folder", Path(temporary) / "cache"
    folder.mkdir()
    weights = np.arange(1_000_000, dtype=np.float32)

    # 1. Create, and upload a folder: small files go with the commit, the large one before it, as chunks.
    api.create_repo(repo, private=True)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\ntags: [example]\n---\n\n# A model\n")
    (folder / "config.json").write_text(json.dumps({"size": len(weights)}))
    save_file({"weights": weights}, folder / "model.safetensors")
    first = api.upload_folder(repo_id=repo, folder_path=folder, commit_message="The first weights")
    print("uploaded", *(f"{file.path} ({file.size} bytes)" for file in api.list_repo_tree(repo)), sep="\n  ")

    # 2. A version has a name, and what comes later does not change it.
    api.create_tag(repo, tag="v1")
    weights[-1] = 0
    save_file({"weights": weights}, folder / "model.safetensors")
    api.upload_file(
        repo_id=repo,
        path_or_fileobj=folder / "model.safetensors",
        path_in_repo="model.safetensors",
        commit_message="Other weights",
    )
    print("commits:", ", ".join(commit.title for commit in api.list_repo_commits(repo)))

    # 3. Download, by tag and by branch.
    for revision in ("v1", "main"):
        path = api.hf_hub_download(repo, "model.safetensors", revision=revision, cache_dir=cache)
        print(f"{revision}: the last weight is {load_file(path)['weights'][-1]:.0f}")
    found = api.snapshot_download(repo, revision=first.oid, cache_dir=cache)
    print("the first commit, whole:", ", ".join(sorted(path.name for path in Path(found).iterdir())))

    # 4. A change as a proposal: looked at, then merged.
    text = api.hf_hub_download(repo, "README.md", cache_dir=cache)
    proposed = api.upload_file(
        repo_id=repo,
        path_or_fileobj=(Path(text).read_text() + "\nIt counts.\n").encode(),
        path_in_repo="README.md",
        commit_message="Say what it does",
        create_pr=True,
    )
    pull = api.get_discussion_details(repo, proposed.pr_num)
    print("proposed:", *(line for line in (pull.diff or "").splitlines() if line.startswith("+It")))
    api.merge_pull_request(repo, proposed.pr_num)
    print("merged as:", api.list_repo_commits(repo)[0].title)

api.delete_repo(repo)
