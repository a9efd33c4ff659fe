"""`craton blobs`: the stored bytes. Works on CRATON_HOME, with or without a running server."""

from __future__ import annotations

import sys
from typing import Any

import click

from craton.cli.connection import key_option
from craton.cli.home import caller, opened
from craton.cli.output import human_bytes, json_option, print_fields, print_json, print_table, say

SHOWN = 20  # affected files


@click.group()
def blobs() -> None:
    """Check, collect and count the stored bytes of all repositories."""


@blobs.command()
@click.option("--rate", metavar="SIZE", default="", help="Bytes a second to read: 200MiB. Default: [blobs] scrub_rate.")
@key_option
@json_option
def scrub(rate: str, key: str | None, as_json: bool) -> None:
    """Read every stored byte and check it; repair from the replica, or say which files are lost.

    \b
    craton blobs scrub --rate 500MiB
    craton blobs scrub --json | jq .files

    Ends with 1 when something is damaged and could not be repaired. A server does this by itself: [blobs] scrub_days.
    """
    import time

    from craton.access.policy import authorize
    from craton.app.keeping import scrubber
    from craton.core.access import Action
    from craton.hub.keeping.affected import affected
    from craton.hub.keeping.scrubbing import PREFIXES, Scrubbed

    with opened() as platform:
        authorize(caller(platform, key), Action.OPERATE)
        keeper, done, told = scrubber(platform, rate), Scrubbed(), time.monotonic()
        for part in keeper.scrub(done):
            if time.monotonic() - told > 1 and not as_json:
                told = time.monotonic()
                _progress(f"{part * 100 // PREFIXES}%: {done.blobs:,} blobs, {human_bytes(done.bytes)}")
        broken = keeper.broken()
        files = affected(platform.database, broken)
    if as_json:
        print_json({"scrubbed": done, "broken": broken, "files": [_file(it) for it in files]})
    else:
        _clear()
        print_fields(
            {
                "read": f"{done.blobs:,} blobs, {human_bytes(done.bytes)}",
                "damaged": done.damaged,
                "missing": done.missing,
                "repaired": done.repaired,
                "copied to the replica": done.copied,
            }
        )
        if broken:
            rows = [(it.tenant, it.repo.path, it.ref or "older commits", it.path) for it in files[:SHOWN]]
            print_table(("TENANT", "REPOSITORY", "REF", "FILE"), rows, "No repository's files are among them.")
            if len(files) > SHOWN:
                say(f"... and {len(files) - SHOWN:,} more; --json shows all.")
    if broken:
        say(f"{len(broken):,} blobs are lost here; uploading their files again brings them back.", fg="red")
        raise SystemExit(1)


@blobs.command()
@key_option
@json_option
def collect(key: str | None, as_json: bool) -> None:
    """Give back the bytes that nobody needs any more.

    What was just uploaded is safe for [blobs] grace_hours. What is found is condemned first and removed by a later
    collection, an hour on or more. A server does this by itself: [blobs] collect_hours.
    """
    from craton.access.policy import authorize
    from craton.app.keeping import collector
    from craton.core.access import Action

    def progress(what: str, count: int) -> None:
        if not as_json:
            _progress(f"{what}: {count:,}")

    with opened() as platform:
        authorize(caller(platform, key), Action.OPERATE)
        found = collector(platform).collect(progress)
    if as_json:
        print_json(found)
        return
    _clear()
    print_fields(
        {
            "files forgotten": f"{found.forgotten:,}",
            "chunk stores dropped": f"{found.xorbs:,}",
            "condemned for next time": f"{found.condemned:,}",
            "removed": f"{found.removed:,} blobs, {human_bytes(found.bytes)}",
        }
    )


@blobs.command()
@click.option("--recount", is_flag=True, help="Count from the rows themselves.")
@key_option
@json_option
def usage(recount: bool, key: str | None, as_json: bool) -> None:
    """Show what each tenant has stored, and how much it may: [quotas]. Other tenants' figures need the root key."""
    from craton.access.policy import authorize
    from craton.core.access import Action, KeyRole
    from craton.hub.keeping.quotas import Quotas

    with opened() as platform:
        who = caller(platform, key)
        authorize(who, Action.READ)
        quotas = Quotas(platform.database)
        found = quotas.all() if who.role is KeyRole.ROOT else [quotas.usage(who.tenant)]
        if recount:
            authorize(who, Action.OPERATE)
            found = [quotas.recount(it.tenant) for it in found]
    if as_json:
        print_json(found)
        return
    rows = [
        (
            it.tenant,
            f"{it.files:,}",
            human_bytes(it.bytes),
            human_bytes(it.xorbs),
            "none" if it.quota is None else human_bytes(it.quota),
        )
        for it in found
    ]
    right = ("FILES", "BYTES", "CHUNKS", "QUOTA")
    print_table(("TENANT", "FILES", "BYTES", "CHUNKS", "QUOTA"), rows, "Nothing is stored.", right=right)


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{line}", err=True, nl=False)


def _clear() -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)


def _file(found: Any) -> dict[str, Any]:
    return {
        "digest": found.digest,
        "tenant": found.tenant,
        "repository": found.repo.path,
        "ref": found.ref or None,
        "path": found.path,
    }
