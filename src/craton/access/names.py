"""What tenants, keys and credentials may be called."""

from __future__ import annotations

import re

from craton.core.errors import InvalidRequest

_TENANT = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._@:+-]{0,62}[A-Za-z0-9._@:+-])?")


def check_tenant(name: str) -> str:
    """Lower-case letters, digits and inner hyphens, at most 63, as in a host name. Raises InvalidRequest."""
    if not _TENANT.fullmatch(name):
        raise InvalidRequest("use 1 to 63 lower-case letters, digits and hyphens", "tenant")
    return name


def check_label(name: str) -> str:
    """A key's or credential's name. Raises InvalidRequest."""
    if not _LABEL.fullmatch(name):
        raise InvalidRequest("use 1 to 64 letters, digits, spaces and . _ @ : + -, a letter or digit first", "name")
    return name
