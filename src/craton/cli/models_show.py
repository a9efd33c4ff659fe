"""`craton models show`: what a model is, whether it fits, what its file holds."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from craton.cli.completion import complete_model
from craton.cli.connection import connect_if_running, connection_options
from craton.cli.home import caller, opened
from craton.cli.output import hint, human_bytes, human_time, json_option, print_fields, print_json, print_table
from craton.core.model import ModelInfo

NOT_LOADED_HERE = frozenset({"echo", "upstream"})


@click.command()
@click.argument("name", shell_complete=complete_model)
@click.option("--context", type=click.IntRange(1), metavar="TOKENS", help="Will it fit with this context?")
@click.option("--parallel", type=click.IntRange(1), metavar="N", help="Will it fit with N requests at once?")
@click.option("--weights", is_flag=True, help="List the numbers: tensors, coefficients, rules.")
@connection_options
@json_option
def show(
    name: str,
    context: int | None,
    parallel: int | None,
    weights: bool,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Show what the model NAME is, and whether it will fit.

    Numbers of memory come before anything is loaded.

    \b
    craton models show smollm2-135m-instruct
    craton models show acme/llama --context 32768 --parallel 1
    craton models show acme/llama --weights

    --weights lists tensors (name, shape, number format, parameters) from the files in CRATON_HOME; of a table's model
    also a linear one's coefficients and a tree's rules.
    """
    if weights:
        from craton.cli.models_weights import show_weights

        show_weights(name, url, key, as_json)
        return
    details = _details(name, url, key)
    info = msgspec.convert(details, ModelInfo)
    fit = None if info.engine in NOT_LOADED_HERE or not info.engine else _fit(info, details, context, parallel)
    if as_json:
        print_json(msgspec.to_builtins(info) | {"fit": fit})
        return
    _print_info(info)
    if fit is not None:
        _print_fit(fit)


def _details(name: str, url: str | None, key: str | None) -> dict[str, Any]:
    """A `ModelInfo` and its `Fit` in one, as a running server tells them, or from CRATON_HOME."""
    connection = connect_if_running(url, key)
    if connection is not None:
        told: dict[str, Any] = connection.get(f"/api/craton/v1/models/{name}")
        return told
    from craton.app.fitting import describe_fit

    with opened() as platform:
        info = platform.catalog.resolve(caller(platform, key).tenant, name).info
        stored: dict[str, Any] = msgspec.to_builtins(info) | msgspec.to_builtins(describe_fit(info, platform.settings))
        return stored


def _fit(info: ModelInfo, details: dict[str, Any], context: int | None, parallel: int | None) -> dict[str, Any]:
    """Bytes. As the server would load it or, when asked, with another context or number of requests."""
    from craton.app.fitting import Fit
    from craton.hub.memory import memory_needed

    fit = msgspec.convert(details, Fit)
    context, parallel = context or fit.context, parallel or fit.parallel
    needed = memory_needed(info, context, parallel)
    return {
        "weights": needed.weights,
        "kv_cache": needed.kv_cache,
        "kv_cache_tokens": context * parallel if needed.kv_cache else 0,
        "overhead": needed.overhead,
        "total": needed.total,
        "available": fit.memory_available,
        "limit": fit.memory_limit,
        "fits": needed.total <= min(fit.memory_available, fit.memory_limit),
    }


def _print_info(info: ModelInfo) -> None:
    details = info.details or {}
    print_fields(
        {
            "Model": info.id,
            "Does": ", ".join(info.verbs) or f"nothing here: {details.get('refused', 'no engine runs it')}",
            "Engine": info.engine,
            "From": " ".join(filter(None, (info.provider, details.get("name", "")))),
            "Repository": info.repo,
            "Revision": info.revision,
            "Adapter of": info.base,
            "Added": human_time(info.created) if info.repo else "",
            "Licence": info.license,
            "Architecture": info.architecture,
            "Format": " ".join(filter(None, (info.format, info.quantisation))),
            "Parameters": f"{info.parameters:,}" if info.parameters else "",
            "Layers": _layers(info),
            "Context": f"{info.context_length:,} tokens" if info.context_length else "",
            "Vectors": f"{info.dimensions} dimensions" if info.dimensions else "",
            "Vocabulary": f"{details['vocabulary']:,} tokens" if "vocabulary" in details else "",
            "Template": f"{len(info.chat_template):,} characters" if info.chat_template else "",
        }
    )


def _layers(info: ModelInfo) -> str:
    if not info.layers:
        return ""
    heads = f", {info.kv_heads} key-value heads of {info.head_dimensions}" if info.kv_heads else ""
    return f"{info.layers}{heads}"


def _print_fit(fit: dict[str, Any]) -> None:
    click.secho("\nWill it fit?", bold=True)
    tokens = fit["kv_cache_tokens"]
    rows = [
        ("weights", human_bytes(fit["weights"]), ""),
        ("KV cache", human_bytes(fit["kv_cache"]), f"{tokens:,} tokens, all requests together" if tokens else ""),
        ("overhead", human_bytes(fit["overhead"]), "the worker's process, one batch"),
        ("needed", human_bytes(fit["total"]), ""),
        ("available", human_bytes(fit["available"]), "free on the machine now"),
        ("limit", human_bytes(fit["limit"]), "of all loaded models together"),
    ]
    print_table(("", "MEMORY", ""), [row for row in rows if row[0] != "KV cache" or tokens], "", right=("MEMORY",))
    if fit["fits"]:
        click.echo("\nIt fits.")
        return
    missing = fit["total"] - min(fit["available"], fit["limit"])
    click.echo(f"\nIt does not fit: {human_bytes(missing)} are missing.")
    hint("Try a smaller --context or --parallel (then set them in config.toml), or `craton models unload` others.")
