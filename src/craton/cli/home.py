"""Working on CRATON_HOME itself, with or without a server: models, keys, tenants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from craton.app.config import Home
from craton.cli.connection import named_token
from craton.cli.output import say

if TYPE_CHECKING:
    from craton.app.platform import Platform
    from craton.core.access import Caller


@contextmanager
def opened() -> Iterator[Platform]:
    """What lies in CRATON_HOME. Makes what is missing, as the first `craton serve` does, and shows a new root key."""
    from craton.app.platform import open_platform

    platform = open_platform(Home.from_environment())
    try:
        show_new_root(platform)
        yield platform
    finally:
        platform.close()


def show_new_root(platform: Platform) -> None:
    """The root key is shown by the command that made it, once."""
    if platform.new_root is not None:
        say(f"Your root key, shown this once (it also stands in {platform.home.root_key}):\n")
        say(f"    {platform.new_root.token}\n")


def caller(platform: Platform, key: str | None) -> Caller:
    """Who acts: the holder of --key, CRATON_API_KEY or the root key. Raises Unauthenticated."""
    token = named_token(key) or platform.home.root_key.read_text("ascii").strip()
    return platform.keys.verify_token(token)
