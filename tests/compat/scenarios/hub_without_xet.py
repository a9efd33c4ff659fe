"""What hub_client does, by a client that was told to leave Xet alone: large files go over Git LFS."""

from __future__ import annotations

import os

os.environ["HF_HUB_DISABLE_XET"] = "1"  # read when the client is imported

import hub_client  # noqa: F401  (runs its checks)
