"""`craton keys`: made and revoked in CRATON_HOME itself, with or without a running server, which notices at once."""

from __future__ import annotations

import time

import click

from craton.cli.connection import key_option
from craton.cli.credentials import credential
from craton.cli.durations import Duration
from craton.cli.home import caller, opened
from craton.cli.output import human_time, json_option, print_json, print_table, say
from craton.core.access import KeyRole
from craton.core.errors import NotFound


@click.group()
def keys() -> None:
    """Create, list and revoke keys; tenants; other providers' keys.

    One key is a bearer token and an AWS-style key pair. These commands work on CRATON_HOME and need no server.
    """


@keys.command()
@click.option("--name", metavar="TEXT", help="What it is for. Default: the role.")
@click.option(
    "--role",
    default=KeyRole.INVOKER.value,
    show_default=True,
    type=click.Choice([role.value for role in KeyRole]),
    help="invoker asks models, developer also writes, admin also manages keys, root operates.",
)
@click.option("--tenant", metavar="NAME", help="Default: your own.")
@click.option("--expires", type=Duration(), metavar="SPAN", help="After 12h, 30d ... Default: never.")
@key_option
@json_option
def create(
    name: str | None, role: str, tenant: str | None, expires: float | None, key: str | None, as_json: bool
) -> None:
    """Make a key and print its token, this once.

    \b
    craton keys create --name laptop --expires 30d
    export CRATON_API_KEY=$(craton keys create --role reader)
    """
    from craton.access.policy import authorize_grant

    with opened() as platform:
        who = caller(platform, key)
        tenant = tenant or who.tenant
        authorize_grant(who, tenant, KeyRole(role))
        ends = None if expires is None else time.time() + expires
        new = platform.keys.create(tenant, name or role, KeyRole(role), ends)
    if as_json:
        print_json(new)
        return
    until = f", until {human_time(new.expires_at)}" if new.expires_at else ""
    say(f"A key for tenant {new.tenant} with the role {new.role}{until}. The token is shown this once:")
    click.echo(new.token)
    say(f"For AWS clients its parts are: access key {new.key_id}, secret {new.secret}", dim=True)


@keys.command("list")
@click.option("--tenant", metavar="NAME", help="Default: your own.")
@key_option
@json_option
def list_keys(tenant: str | None, key: str | None, as_json: bool) -> None:
    """List a tenant's keys, without their secrets."""
    from craton.access.policy import authorize_grant

    with opened() as platform:
        who = caller(platform, key)
        tenant = tenant or who.tenant
        authorize_grant(who, tenant, KeyRole.READER)
        found = platform.keys.list(tenant)
    if as_json:
        print_json(found)
        return
    now = time.time()
    rows = [
        (
            item.key_id,
            item.name,
            item.role,
            human_time(item.created)[:10],
            _state(item.revoked_at, item.expires_at, now),
        )
        for item in found
    ]
    print_table(("KEY", "NAME", "ROLE", "CREATED", "STATE"), rows, "No keys. Make one: craton keys create")


@keys.command()
@click.argument("key_id")
@click.option("--tenant", metavar="NAME", help="Default: your own.")
@key_option
@json_option
def revoke(key_id: str, tenant: str | None, key: str | None, as_json: bool) -> None:
    """Revoke the key KEY_ID (CRTN...).

    A running server refuses it within a second."""
    from craton.access.policy import authorize_grant

    with opened() as platform:
        who = caller(platform, key)
        tenant = tenant or who.tenant
        authorize_grant(who, tenant, KeyRole.READER)
        role = next((item.role for item in platform.keys.list(tenant) if item.key_id == key_id), None)
        if role is None:
            raise NotFound("key", key_id[:40], f"`craton keys list --tenant {tenant}` shows what there is.")
        authorize_grant(who, tenant, role)
        platform.keys.revoke(tenant, key_id)
    print_json({"revoked": key_id}) if as_json else say(f"{key_id} is revoked.")


@keys.group()
def tenants() -> None:
    """Walls between the users of one installation."""


@tenants.command("create")
@click.argument("name")
@key_option
@json_option
def create_tenant(name: str, key: str | None, as_json: bool) -> None:
    """Make the tenant NAME."""
    from craton.access.policy import authorize
    from craton.access.tenants import Tenants
    from craton.core.access import Action

    with opened() as platform:
        authorize(caller(platform, key), Action.OPERATE)
        Tenants(platform.database).create(name)
    if as_json:
        print_json({"tenant": name})
        return
    say(f"There is a tenant {name}. Its first key: craton keys create --tenant {name} --role admin")


@tenants.command("list")
@key_option
@json_option
def list_tenants(key: str | None, as_json: bool) -> None:
    """List all tenants."""
    from craton.access.policy import authorize
    from craton.access.tenants import Tenants
    from craton.core.access import Action

    with opened() as platform:
        authorize(caller(platform, key), Action.OPERATE)
        names = Tenants(platform.database).list()
    print_json(names) if as_json else click.echo("\n".join(names))


def _state(revoked: float | None, expires: float | None, now: float) -> str:
    if revoked is not None:
        return "revoked"
    if expires is None:
        return "valid"
    return f"until {human_time(expires)[:10]}" if expires > now else "expired"


keys.add_command(credential)
