"""A model that was found, and what it takes to load it."""

from __future__ import annotations

from msgspec import Struct

from craton.core.model import ModelInfo


class Target(Struct, frozen=True):
    """key: tells loaded models apart. files: name in the repository -> blob digest. owner: the tenant whose repository
    it is, "" for what lives in none."""

    key: str
    info: ModelInfo
    files: dict[str, str] = {}
    owner: str = ""
