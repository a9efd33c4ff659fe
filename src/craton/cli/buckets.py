"""`craton buckets`: where `s3://NAME/KEY` lives. Works on CRATON_HOME, with or without a running server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from craton.cli.connection import key_option
from craton.cli.home import caller, opened
from craton.cli.output import human_bytes, human_time, json_option, print_fields, print_json, print_table, say

if TYPE_CHECKING:
    from craton.app.platform import Platform
    from craton.buckets.values import Bucket
    from craton.core.access import Caller

COUNTED = 100_000  # objects that `show` counts at most


@click.group()
def buckets() -> None:
    """Create, list, show and delete buckets; S3 clients use them through `craton exec`."""


@buckets.command()
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path), help="An existing folder: its files are the objects.")
@click.option("--endpoint", metavar="URL", help="An S3-compatible store; Amazon's own when only --remote is given.")
@click.option("--remote", metavar="BUCKET", help="The bucket's name in that store. Default: NAME.")
@click.option("--region", metavar="REGION", help="Default: us-east-1.")
@click.option("--credential", metavar="NAME", help="ACCESS_KEY:SECRET_KEY, stored with `craton keys credential set`.")
@click.option("--tenant", metavar="TENANT", help="Default: your own.")
@key_option
@json_option
def create(
    name: str,
    folder: Path | None,
    endpoint: str | None,
    remote: str | None,
    region: str | None,
    credential: str | None,
    tenant: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Make the bucket NAME: under CRATON_HOME, in a folder of yours, or in an S3-compatible store.

    \b
    craton buckets create docs
    craton buckets create papers --folder ./papers
    craton buckets create archive --endpoint https://minio.example --credential minio

    Folders and stores are the operator's to give: they need the root key.
    """
    from craton.access.policy import authorize
    from craton.buckets.values import Place, Remote
    from craton.core.access import Action

    is_remote = bool(endpoint or remote or credential)
    if folder is not None and is_remote:
        raise click.UsageError("A bucket lives in a folder or in a store, not in both.")
    store = Remote(remote or name, endpoint or "", region or "us-east-1", credential or "") if is_remote else None
    place = Place(str(folder.absolute()) if folder is not None else "", store, region or "")
    with opened() as platform:
        who = caller(platform, key)
        owner = _tenant(who, tenant)
        authorize(who, Action.OPERATE if folder is not None or is_remote else Action.WRITE)
        bucket = platform.buckets.create(owner, name, place)
    if as_json:
        print_json(_shown(bucket))
        return
    say(f"s3://{name} is {_where(bucket)}.")


@buckets.command("list")
@click.option("--tenant", metavar="TENANT", help="Default: your own.")
@key_option
@json_option
def list_buckets(tenant: str | None, key: str | None, as_json: bool) -> None:
    """List the buckets."""
    with opened() as platform:
        found = platform.buckets.registry.list(_tenant(caller(platform, key), tenant))
    if as_json:
        print_json([_shown(bucket) for bucket in found])
        return
    rows = [(bucket.name, human_time(bucket.created), _where(bucket)) for bucket in found]
    print_table(("BUCKET", "CREATED", "LIVES"), rows, "No buckets. Make one: craton buckets create NAME")


@buckets.command()
@click.argument("name")
@click.option("--tenant", metavar="TENANT", help="Default: your own.")
@key_option
@json_option
def show(name: str, tenant: str | None, key: str | None, as_json: bool) -> None:
    """Show the bucket NAME: where it lives, how many objects it holds."""
    import asyncio

    with opened() as platform:
        owner = _tenant(caller(platform, key), tenant)
        bucket = platform.buckets.registry.get(owner, name)
        count, size = asyncio.run(_count(platform, owner, name))
    if as_json:
        print_json(_shown(bucket) | {"objects": count, "size": size, "counted_all": count < COUNTED})
        return
    more = " or more" if count == COUNTED else ""
    print_fields(
        {
            "bucket": bucket.name,
            "lives": _where(bucket),
            "created": human_time(bucket.created),
            "region": bucket.place.region,
            "objects": f"{count:,}{more}",
            "size": f"{human_bytes(size)}{more}",
        }
    )


@buckets.command()
@click.argument("name")
@click.option("--tenant", metavar="TENANT", help="Default: your own.")
@key_option
@json_option
def delete(name: str, tenant: str | None, key: str | None, as_json: bool) -> None:
    """Delete the empty bucket NAME. A folder or store that was registered stays as it is."""
    from craton.access.policy import authorize
    from craton.core.access import Action

    with opened() as platform:
        who = caller(platform, key)
        owner = _tenant(who, tenant)
        bucket = platform.buckets.registry.get(owner, name)
        authorize(who, Action.WRITE if bucket.is_own else Action.OPERATE)
        platform.buckets.delete(owner, name)
    if as_json:
        print_json({"deleted": name})
        return
    say(f"{name} is deleted." if bucket.is_own else f"{name} is forgotten; what it held is still there.")


def _tenant(who: Caller, tenant: str | None) -> str:
    """Others' buckets are the operator's alone."""
    from craton.access.policy import authorize
    from craton.core.access import Action

    authorize(who, Action.READ if tenant in {None, who.tenant} else Action.OPERATE)
    return tenant or who.tenant


async def _count(platform: Platform, tenant: str, name: str) -> tuple[int, int]:
    count = size = 0
    async for info in platform.buckets.list(tenant, name):
        count, size = count + 1, size + info.size
        if count == COUNTED:
            break
    return count, size


def _where(bucket: Bucket) -> str:
    remote = bucket.place.remote
    if remote is not None:
        return f"the bucket {remote.bucket} of {remote.endpoint or 'Amazon S3'}"
    return f"the folder {bucket.place.folder}" if bucket.place.folder else "under CRATON_HOME"


def _shown(bucket: Bucket) -> dict[str, Any]:
    remote = bucket.place.remote
    return {
        "name": bucket.name,
        "tenant": bucket.tenant,
        "created": bucket.created,
        "folder": bucket.place.folder or None,
        "remote": remote,
        "region": bucket.place.region or None,
    }
