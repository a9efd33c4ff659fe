"""Who is calling, and what a route asks of them."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

SHARED_TENANT = "shared"
"""Owns what every tenant may read, such as the starter models. No key belongs to it."""


STRANGER = ""
"""The tenant of those who send no key, where the operator lets them read what is public. It owns nothing."""


class KeyRole(StrEnum):
    """What a key may do inside its tenant. ROOT is the operator: every tenant."""

    ROOT = "root"
    ADMIN = "admin"
    DEVELOPER = "developer"
    INVOKER = "invoker"
    READER = "reader"


class Action(StrEnum):
    """What a route does, as its policy names it."""

    PUBLIC = "public"  # needs no key: health only
    READ = "read"
    INVOKE = "invoke"
    WRITE = "write"
    ADMINISTER = "administer"
    OPERATE = "operate"  # across tenants: metrics, status of the machine


class Caller(Struct, frozen=True):
    """An authenticated caller. Every query carries the tenant."""

    tenant: str
    key_id: str
    role: KeyRole
    key_name: str = ""
