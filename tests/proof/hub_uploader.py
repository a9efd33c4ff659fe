"""Uploads with the stock client until it is killed; a line for each commit that the server acknowledged.

python -m tests.proof.hub_uploader URL TOKEN NAME regular|lfs|xet
"""

from __future__ import annotations

import io
import random
import sys
from hashlib import sha256

from huggingface_hub import CommitOperationAdd, HfApi, constants
from huggingface_hub.utils import disable_progress_bars

SIZES = {"regular": (10, 2_000), "lfs": (600_000, 1_500_000), "xet": (600_000, 1_500_000)}


def main() -> None:
    url, token, name, kind = sys.argv[1:]
    disable_progress_bars()
    constants.HF_HUB_DISABLE_XET = kind != "xet"
    api, repo = HfApi(endpoint=url, token=token), f"storm/{name}"
    api.create_repo(repo, exist_ok=True)
    chance = random.Random(name)
    shared = chance.randbytes(500_000)  # so that chunks are sent once and named again
    for number in range(1_000_000):
        content = chance.randbytes(chance.randint(*SIZES[kind]))
        if kind == "xet":
            content = shared + content
        path = f"{number % 5}/{kind}-{number}.bin" if kind != "regular" else f"{number % 5}/{number}.txt"
        adds = [CommitOperationAdd(path, content if kind == "xet" else io.BytesIO(content))]
        commit = api.create_commit(repo, adds, commit_message=f"number {number}")
        print(repo, commit.oid, path, sha256(content).hexdigest(), flush=True)


if __name__ == "__main__":
    main()
