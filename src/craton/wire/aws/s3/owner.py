"""Who owns a tenant's buckets, in S3's words."""

from __future__ import annotations

import hashlib
from typing import Any

from craton.wire.aws.account import account_of
from craton.wire.aws.s3.errors import S3Error


def owner_of(tenant: str) -> dict[str, Any]:
    """S3's canonical user."""
    return {"DisplayName": tenant, "ID": hashlib.sha256(f"canonical user {tenant}".encode()).hexdigest()}


def check_owner(tenant: str, value: dict[str, Any]) -> None:
    """ExpectedBucketOwner, which guards against a bucket of somebody else. Raises S3Error."""
    for name in ("ExpectedBucketOwner", "ExpectedSourceBucketOwner"):
        if value.get(name, account_of(tenant)) != account_of(tenant):
            raise S3Error("AccessDenied", 403, "The bucket belongs to another account than the expected one.")
