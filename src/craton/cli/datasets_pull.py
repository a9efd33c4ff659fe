"""`craton datasets pull|list|show`: from other hubs into CRATON_HOME, and what is here."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import click

from craton.cli.connection import connect, connection_options, key_option
from craton.cli.home import caller, opened
from craton.cli.hubs import Counting, hub_client, named_hub
from craton.cli.output import hint, human_bytes, json_option, print_fields, print_json, print_table, say
from craton.cli.progress import shown_progress
from craton.core.errors import InvalidRequest

if TYPE_CHECKING:
    from craton.app.platform import Platform
    from craton.core.repo import TreeEntry
    from craton.hub.importing import Progress
    from craton.hub.mirror.words import Located

_NAME = re.compile(r"hf:([A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?)(?:@([\w./-]+))?", re.ASCII)


@click.command()
@click.argument("source")
@key_option
@json_option
def pull(source: str, key: str | None, as_json: bool) -> None:
    """Fetch the dataset SOURCE, hf:namespace/name[@revision], whole. It keeps the hub's commit id.

    \b
    craton datasets pull hf:stanfordnlp/imdb
    craton datasets pull hf:acme/churn@v2

    What a [hubs.NAME] in config.toml mirrors comes by way of the mirror, for everybody who may use that. Else it is
    your tenant's own; HF_ENDPOINT then names the hub, HF_TOKEN opens private datasets. A pull that broke off goes on
    where it was. Needs no server; a running one sees it at once.
    """
    match = _NAME.fullmatch(source)
    if match is None:
        raise InvalidRequest(f"{source[:100]!r} is not of the form hf:namespace/name[@revision]", "source")
    from craton.access.policy import authorize
    from craton.core.access import Action

    with opened() as platform, shown_progress(source) as progress:
        who = caller(platform, key)
        authorize(who, Action.WRITE)
        place, files = asyncio.run(_pull(platform, who.tenant, match[1], match[2] or "main", progress))
    size = sum({file.digest: file.size for file in files}.values())
    if as_json:
        print_json({"dataset": place.repo.path, "revision": place.commit, "files": len(files), "bytes": size})
        return
    say(f"{place.repo.path} is here: {len(files):,} files, {human_bytes(size)}, revision {place.commit[:12]}.")
    hint(f"Look at it: craton datasets schema {place.repo.path}")


async def _pull(
    platform: Platform, tenant: str, path: str, revision: str, progress: Progress
) -> tuple[Located, list[TreeEntry]]:
    from craton.app.mirror import fetching_for, open_mirror

    hub, watch = named_hub(), Counting(progress)
    async with hub_client(platform, hub) as client:
        mirror = open_mirror(platform, lambda: client, watch)
        if mirror is None or not (hub.is_default and mirror.offers(tenant, "dataset", path)):
            mirror = fetching_for(platform, tenant, lambda: client, hub.endpoint, hub.token, watch)
        try:
            place = await mirror.locate(tenant, "dataset", path, revision)
            files = await asyncio.to_thread(platform.hub.tree, place.owner, place.repo, place.commit)
            await mirror.fetch(place, files)
        finally:
            await mirror.close()
    return place, files


@click.command("list")
@click.option("--search", metavar="TEXT", default="", help="Words that the name holds.")
@click.option("--limit", metavar="N", default=100, show_default=True, type=click.IntRange(1, 1000))
@connection_options
@json_option
def list_datasets(search: str, limit: int, url: str | None, key: str | None, as_json: bool) -> None:
    """List the datasets that you may read, those changed last first."""
    found = connect(url, key).get("/api/datasets", search=search, limit=limit, full="true", sort="lastModified")
    if as_json:
        print_json(found)
        return
    rows = [(it["id"], "private" if it["private"] else "shared", (it.get("lastModified") or "")[:10]) for it in found]
    print_table(("DATASET", "SEEN BY", "CHANGED"), rows, "No datasets. Add one: craton datasets add NAME FILE")


@click.command()
@click.argument("name")
@click.option("--revision", default="main", metavar="REVISION", help="A branch, tag or commit.", show_default=True)
@connection_options
@json_option
def show(name: str, revision: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Show the dataset NAME (namespace/name): what it is and which files it holds."""
    from urllib.parse import quote

    path = f"/api/datasets/{quote(name)}/revision/{quote(revision, safe='')}"
    found: dict[str, Any] = connect(url, key).get(path, blobs="true")
    if as_json:
        print_json(found)
        return
    files = found.get("siblings") or []
    print_fields(
        {
            "dataset": found["id"],
            "revision": found["sha"],
            "changed": found["lastModified"],
            "seen by": "your tenant" if found["private"] else "every tenant",
            "tags": ", ".join(found.get("tags") or []) or "-",
        }
    )
    rows = [(file["rfilename"], human_bytes(file["size"])) for file in files]
    print_table(("FILE", "SIZE"), rows, "No files.", right=("SIZE",))
