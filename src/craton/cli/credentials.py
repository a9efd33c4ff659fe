"""`craton keys credential`: the keys of other providers, for upstream models."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from craton.cli.connection import key_option
from craton.cli.home import caller, opened
from craton.cli.output import json_option, print_json, print_table, say

if TYPE_CHECKING:
    from craton.access.vault import Vault


@click.group()
def credential() -> None:
    """Other providers' keys, sealed in CRATON_HOME. [upstreams] in config.toml names them."""


@credential.command("set")
@click.argument("name")
@key_option
@json_option
def set_credential(name: str, key: str | None, as_json: bool) -> None:
    """Store a provider's key as NAME. It is asked for, or read from stdin; never given as an argument.

    \b
    craton keys credential set deepseek
    pass show openai | craton keys credential set openai

    For Bedrock: a Bedrock API key, or ACCESS_KEY:SECRET_KEY.
    """
    from craton.access.tenants import DEFAULT_TENANT

    with _vault(key) as vault:
        value = click.prompt("Key", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.read()
        vault.put(DEFAULT_TENANT, name, value.strip())
    print_json({"stored": name}) if as_json else say(f"{name} is stored.")


@credential.command("list")
@key_option
@json_option
def list_credentials(key: str | None, as_json: bool) -> None:
    """List the names of what is stored."""
    from craton.access.tenants import DEFAULT_TENANT

    with _vault(key) as vault:
        names = vault.list(DEFAULT_TENANT)
    if as_json:
        print_json(names)
    else:
        print_table(("NAME",), [(name,) for name in names], "None. Store one: craton keys credential set NAME")


@credential.command("delete")
@click.argument("name")
@key_option
@json_option
def delete_credential(name: str, key: str | None, as_json: bool) -> None:
    """Forget the provider's key NAME."""
    from craton.access.tenants import DEFAULT_TENANT

    with _vault(key) as vault:
        vault.delete(DEFAULT_TENANT, name)
    print_json({"deleted": name}) if as_json else say(f"{name} is deleted.")


@contextmanager
def _vault(key: str | None) -> Iterator[Vault]:
    """Upstream models are the operator's, so their keys are too (`app.upstreams` reads them)."""
    from craton.access.policy import authorize
    from craton.core.access import Action

    with opened() as platform:
        authorize(caller(platform, key), Action.OPERATE)
        yield platform.vault
