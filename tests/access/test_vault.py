"""Credentials come back to their tenant under their name, and nowhere else."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from craton.access.vault import MAX_VALUE, Vault
from craton.core.errors import Damaged, InvalidRequest, NotFound, TooLarge
from craton.store.database import Database


@pytest.fixture
def vault(rows: Database, master: bytes) -> Vault:
    return Vault(rows, master)


def test_a_credential_comes_back_and_can_be_replaced_and_deleted(vault: Vault) -> None:
    vault.put("default", "openai", "sk-söcret")
    assert vault.get("default", "openai") == "sk-söcret"
    vault.put("default", "openai", "sk-2")
    vault.put("default", "anthropic", "sk-3")
    assert vault.get("default", "openai") == "sk-2"
    assert vault.list("default") == ["anthropic", "openai"]
    vault.delete("default", "openai")
    with pytest.raises(NotFound):
        vault.get("default", "openai")
    with pytest.raises(NotFound):
        vault.delete("default", "openai")


def test_another_tenants_credential_is_not_found(vault: Vault) -> None:
    vault.put("other", "openai", "sk-1")
    for ask in (vault.get, vault.delete):
        with pytest.raises(NotFound):
            ask("default", "openai")
    assert vault.list("default") == []


def test_what_is_stored_is_sealed_and_each_time_differently(vault: Vault, rows: Database) -> None:
    seen = set()
    for _ in range(2):
        vault.put("default", "openai", "sk-very-secret")
        with rows.read() as connection:
            seen.add(bytes(connection.execute(text("SELECT sealed FROM access_credentials")).scalar_one()))
    assert len(seen) == 2
    assert not any(b"very-secret" in sealed for sealed in seen)


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE access_credentials SET tenant = 'other'",
        "UPDATE access_credentials SET name = 'mine'",
    ],
)
def test_a_row_moved_to_another_place_does_not_open(vault: Vault, rows: Database, tamper: str) -> None:
    vault.put("default", "openai", "sk-1")
    with rows.write() as connection:
        connection.execute(text(tamper))
        tenant, name = connection.execute(text("SELECT tenant, name FROM access_credentials")).one()
    with pytest.raises(Damaged):
        vault.get(tenant, name)


def test_broken_rows_and_other_masters_are_told(vault: Vault, rows: Database) -> None:
    vault.put("default", "openai", "sk-1")
    with pytest.raises(Damaged):
        Vault(rows, b"x" * 32).get("default", "openai")
    for sealed in (b"", b"\x01", b"\x02" + bytes(40), b"\x01" + bytes(40)):
        with rows.write() as connection:
            connection.execute(text("UPDATE access_credentials SET sealed = :sealed"), {"sealed": sealed})
        with pytest.raises(Damaged):
            vault.get("default", "openai")


def test_bad_credentials_are_refused(vault: Vault) -> None:
    with pytest.raises(InvalidRequest):
        vault.put("default", "a/b", "x")
    with pytest.raises(InvalidRequest):
        vault.put("default", "openai", "")
    with pytest.raises(TooLarge):
        vault.put("default", "openai", "x" * (MAX_VALUE + 1))
    with pytest.raises(NotFound):
        vault.put("nobody", "openai", "x")
    with pytest.raises(InvalidRequest):
        vault.get("default", "a\0b")
