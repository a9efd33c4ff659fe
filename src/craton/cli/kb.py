"""`craton kb`: knowledge bases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from craton.cli.completion import complete_model
from craton.cli.connection import Connection, connect, connection_options
from craton.cli.errors import CommandError, ServerError
from craton.cli.kb_folders import register_folder
from craton.cli.kb_origins import FORMS, source_of
from craton.cli.kb_progress import describe, wait_for
from craton.cli.output import (
    hint,
    human_time,
    json_option,
    print_fields,
    print_json,
    print_table,
    printable,
    say,
)

ROOT = "/api/craton/v1/kb"
STARTER = "all-minilm-l6-v2"
STRATEGIES = ("fixed", "hierarchical", "semantic", "none")
SHOWN = 200  # characters of a passage


@click.group()
def kb() -> None:
    """Make, fill, search and delete knowledge bases. `craton ask` answers from them."""


@kb.command()
@click.argument("name")
@click.option("--from", "origins", multiple=True, metavar="WHERE", help=f"Read documents from {FORMS}.")
@click.option("--embedder", default=STARTER, show_default=True, metavar="MODEL", shell_complete=complete_model)
@click.option("--chunking", type=click.Choice(STRATEGIES), default="fixed", show_default=True)
@click.option("--tokens", type=click.IntRange(1), metavar="N", help="The longest chunk. Default: 300.")
@click.option("--index", type=click.Choice(["edge", "qdrant", "postgres"]), default="edge", show_default=True)
@click.option("--description", default="", metavar="TEXT")
@click.option("--wait/--no-wait", default=True, help="Wait until the documents are in it.  [default: wait]")
@connection_options
@json_option
def create(
    name: str,
    origins: tuple[str, ...],
    embedder: str,
    chunking: str,
    tokens: int | None,
    index: str,
    description: str,
    wait: bool,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Make a knowledge base called NAME, and fill it.

    \b
    craton kb create handbook --from ./docs
    craton kb create site --from https://example.com/docs --from s3://bucket/manuals
    """
    connection = connect(url, key)
    sources = [source_of(origin, lambda folder: register_folder(connection, name, folder)) for origin in origins]
    new = {"name": name, "embedder": embedder, "description": description, "index": index}
    base = connection.post(ROOT, new)
    cutting = {"strategy": chunking, **({"max_tokens": tokens} if tokens else {})}
    try:
        made = [connection.post(f"{ROOT}/{base['id']}/sources", source | {"chunking": cutting}) for source in sources]
    except ServerError:
        connection.delete(f"{ROOT}/{base['id']}")  # so that the same command can be given again
        raise
    ingestions = [_ingest(connection, base["id"], source["id"], wait=wait) for source in made]
    if as_json:
        print_json({"knowledge_base": base, "sources": made, "ingestions": ingestions})
    else:
        say(f"Knowledge base {name} ({base['id']}) is made.")
        for ingestion in ingestions:
            _say_how(connection, ingestion)
        hint(f'Ask it: craton ask {name} "..."' if origins else f"Fill it: craton kb add {name} --from WHERE")
    _fail_if_failed(ingestions)


@kb.command()
@click.argument("name")
@click.option("--from", "origin", required=True, metavar="WHERE", help=f"Read documents from {FORMS}.")
@click.option("--chunking", type=click.Choice(STRATEGIES), default="fixed", show_default=True)
@click.option("--wait/--no-wait", default=True, help="Wait until the documents are in it.  [default: wait]")
@connection_options
@json_option
def add(name: str, origin: str, chunking: str, wait: bool, url: str | None, key: str | None, as_json: bool) -> None:
    """Add a source to the knowledge base NAME, and read it."""
    connection = connect(url, key)
    new = source_of(origin, lambda folder: register_folder(connection, name, folder))
    source = connection.post(f"{ROOT}/{name}/sources", new | {"chunking": {"strategy": chunking}})
    ingestion = _ingest(connection, name, source["id"], wait=wait)
    if as_json:
        print_json({"source": source, "ingestion": ingestion})
    else:
        _say_how(connection, ingestion)
    _fail_if_failed([ingestion])


@kb.command()
@click.argument("name")
@click.option("--confirm-shrinking", is_flag=True, help="Let sources that lost most of their documents have their way.")
@click.option("--wait/--no-wait", default=True, help="Wait until it is done.  [default: wait]")
@connection_options
@json_option
def sync(name: str, confirm_shrinking: bool, wait: bool, url: str | None, key: str | None, as_json: bool) -> None:
    """Read the sources of NAME again: what is new, changed or gone."""
    connection = connect(url, key)
    sources = connection.get(f"{ROOT}/{name}/sources")["sources"]
    options = {"confirm_shrinking": confirm_shrinking}
    ingestions = [
        _ingest(connection, name, source["id"], wait=wait, **options)
        for source in sources
        if source["spec"]["kind"] != "direct" and not source["spec"].get("options", {}).get("live")
    ]
    if as_json:
        print_json(ingestions)
    else:
        for ingestion in ingestions:
            _say_how(connection, ingestion)
    _fail_if_failed(ingestions)


@kb.command("list")
@connection_options
@json_option
def list_bases(url: str | None, key: str | None, as_json: bool) -> None:
    """List the knowledge bases."""
    bases = connect(url, key).get(ROOT)["knowledge_bases"]
    if as_json:
        print_json(bases)
        return
    rows = [(base["name"], base["id"], base["status"], base["embedder"], human_time(base["created"])) for base in bases]
    print_table(
        ("NAME", "ID", "STATUS", "EMBEDDER", "CREATED"), rows, "No knowledge bases. Make one: craton kb create NAME"
    )


@kb.command()
@click.argument("name")
@connection_options
@json_option
def show(name: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Show NAME, its sources and their last ingestions."""
    connection = connect(url, key)
    base = connection.get(f"{ROOT}/{name}")
    sources = connection.get(f"{ROOT}/{name}/sources")["sources"]
    last = {source["id"]: _last_ingestion(connection, name, source["id"]) for source in sources}
    if as_json:
        print_json({"knowledge_base": base, "sources": [source | {"last": last[source["id"]]} for source in sources]})
        return
    shown = ("id", "name", "status", "embedder", "dimensions", "index", "description")
    print_fields({field: base.get(field) for field in shown} | {"created": human_time(base["created"])})
    click.echo()
    rows = [
        (source["name"], source["id"], source["spec"]["kind"], source["status"], _how(last[source["id"]]))
        for source in sources
    ]
    print_table(("SOURCE", "ID", "KIND", "STATUS", "LAST INGESTION"), rows, f"No sources. craton kb add {name}")


@kb.command()
@click.argument("name")
@click.option("--failed", is_flag=True, help="Only those that could not be read.")
@connection_options
@json_option
def documents(name: str, failed: bool, url: str | None, key: str | None, as_json: bool) -> None:
    """List the documents of NAME, with what was wrong with them."""
    connection = connect(url, key)
    found: list[dict[str, Any]] = []
    for source in connection.get(f"{ROOT}/{name}/sources")["sources"]:
        cursor = ""
        while True:
            page = connection.get(f"{ROOT}/{name}/sources/{source['id']}/documents", cursor=cursor)
            found += [document for document in page["documents"] if not failed or document["status"] == "failed"]
            cursor = page["cursor"]
            if not cursor:
                break
    if as_json:
        print_json(found)
        return
    rows = [
        (document["key"], document["status"], document.get("chunks", 0), document.get("reason", ""))
        for document in found
    ]
    print_table(("DOCUMENT", "STATUS", "CHUNKS", "REASON"), rows, "No documents.", right=("CHUNKS",))


@kb.command()
@click.argument("name")
@click.argument("document", metavar="ID")
@connection_options
@json_option
def text(name: str, document: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Print the text that was read from the document ID of NAME: the one that citations count their characters in."""
    found = connect(url, key).get(f"{ROOT}/{name}/documents/{document}")
    if as_json:
        print_json(found)
    else:
        click.echo(printable(found["text"]))


@kb.command()
@click.argument("name")
@click.argument("query")
@click.option("--top", type=click.IntRange(1, 100), default=5, show_default=True, metavar="N")
@click.option("--mode", type=click.Choice(["hybrid", "semantic"]), help="Default: what measured best.")
@connection_options
@json_option
def search(name: str, query: str, top: int, mode: str | None, url: str | None, key: str | None, as_json: bool) -> None:
    """Find the passages of NAME that are nearest to QUERY. No model writes anything."""
    asked = {"knowledge_base": "", "query": query, "top": top, "mode": mode}
    found = connect(url, key).post(f"{ROOT}/{name}/retrieve", asked)
    if as_json:
        print_json(found)
        return
    if not found["passages"]:
        say("Nothing was found.")
    for number, passage in enumerate(found["passages"], 1):
        text = " ".join(printable(passage["text"]).split())
        click.echo(f"{number}. {passage['score']:.3f}  {printable(passage['location']['uri'])}")
        click.echo(f"   {text[:SHOWN]}{'…' if len(text) > SHOWN else ''}")


@kb.command()
@click.argument("name")
@connection_options
@json_option
def reindex(name: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Build the index of NAME again from its documents, while the old one goes on answering."""
    job = connect(url, key).post(f"{ROOT}/{name}/reindex", {})
    if as_json:
        print_json(job)
        return
    say(f"Job {job['job']} builds it.")
    hint(f"Watch it: craton jobs show {job['job']}")


@kb.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@connection_options
@json_option
def delete(name: str, yes: bool, url: str | None, key: str | None, as_json: bool) -> None:
    """Delete NAME with everything that was read into it. The sources themselves stay as they are."""
    connection = connect(url, key)
    if not yes:
        click.confirm(f"Delete the knowledge base {name}?", abort=True, err=True)
    base = connection.delete(f"{ROOT}/{name}")
    if as_json:
        print_json(base)
        return
    say(f"Knowledge base {name} is deleted.")


def ensure_base(connection: Connection, name: str, folder: Path) -> None:
    """A knowledge base over this folder, up to date when this returns. Raises CommandError."""
    bases = connection.get(ROOT)["knowledge_bases"]
    base = next((one for one in bases if one["name"] == name), None)
    if base is None:
        source = source_of(str(folder), lambda path: register_folder(connection, name, path))
        base = connection.post(ROOT, {"name": name, "embedder": STARTER})
        connection.post(f"{ROOT}/{base['id']}/sources", source)
    sources = connection.get(f"{ROOT}/{base['id']}/sources")["sources"]
    ingestions = [_ingest(connection, base["id"], source["id"], wait=True) for source in sources]
    for ingestion in ingestions:
        _say_how(connection, ingestion)
    _fail_if_failed(ingestions)


def _ingest(connection: Connection, base: str, source: str, *, wait: bool, **options: bool) -> dict[str, Any]:
    path = f"{ROOT}/{base}/sources/{source}/ingestions"
    started: dict[str, Any] = connection.post(path, options)
    if not wait:
        return started
    return wait_for(lambda: connection.get(f"{path}/{started['id']}"))


def _last_ingestion(connection: Connection, base: str, source: str) -> dict[str, Any] | None:
    found = connection.get(f"{ROOT}/{base}/sources/{source}/ingestions")["ingestions"]
    return max(found, key=lambda one: one["started"], default=None)


def _how(ingestion: dict[str, Any] | None) -> str:
    if ingestion is None:
        return "never"
    return f"{ingestion['status']}, {describe(ingestion)}, {human_time(ingestion['started'])}"


def _say_how(connection: Connection, ingestion: dict[str, Any]) -> None:
    """What an ingestion came to, with the next step where something failed."""
    numbers = ingestion["statistics"]
    done = [
        f"{numbers[name]:,} {word}"
        for name, word in (
            ("new", "new"),
            ("modified", "changed"),
            ("deleted", "gone"),
            ("skipped", "skipped"),
            ("failed", "failed"),
        )
        if numbers.get(name)
    ]
    say(f"Ingestion {ingestion['id']}: {ingestion['status'].replace('_', ' ')}; {', '.join(done) or 'nothing new'}.")
    for reason in ingestion.get("failures", []):
        say(f"  {printable(reason)}", fg="yellow")
    if numbers.get("failed"):
        base = connection.get(f"{ROOT}/{ingestion['knowledge_base']}")
        hint(f"What was wrong with them: craton kb documents {base['name']} --failed")


def _fail_if_failed(ingestions: list[dict[str, Any]]) -> None:
    if any(ingestion["status"] == "failed" for ingestion in ingestions):
        raise CommandError("The documents could not be read; see above.")
