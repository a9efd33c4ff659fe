"""A tenant as an AWS account, and a key as its user."""

from __future__ import annotations

import hashlib

from craton.core.access import Caller, KeyRole


def account_of(tenant: str) -> str:
    """Twelve digits, the same for the same tenant on every machine."""
    return f"{int.from_bytes(hashlib.sha256(tenant.encode()).digest()[:8], 'big') % 10**12:012d}"


def arn_of(caller: Caller) -> str:
    """The caller as IAM would name it."""
    account = account_of(caller.tenant)
    return f"arn:aws:iam::{account}:root" if caller.role is KeyRole.ROOT else user_arn(account, caller.key_id)


def user_arn(account: str, name: str) -> str:
    return f"arn:aws:iam::{account}:user/{name}"
