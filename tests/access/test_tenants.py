"""Tenants have names that are safe everywhere, once each."""

from __future__ import annotations

import pytest

from craton.access.tenants import Tenants
from craton.core.errors import Conflict, InvalidRequest
from craton.store.database import Database


def test_tenants_are_made_once(rows: Database) -> None:
    tenants = Tenants(rows)
    tenants.create("acme-2")
    assert tenants.list() == ["acme-2", "default", "other"]
    with pytest.raises(Conflict):
        tenants.create("acme-2")
    assert tenants.list() == ["acme-2", "default", "other"]


def test_bad_names_are_refused(rows: Database) -> None:
    tenants = Tenants(rows)
    for name in ("", "A", "-a", "a-", "a b", "a/b", "..", "é", "a\0", "a" * 65, "a\n"):
        with pytest.raises(InvalidRequest):
            tenants.create(name)
    assert tenants.list() == ["default", "other"]
