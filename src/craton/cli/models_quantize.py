"""`craton models quantize`: fewer bits for a model's weights, and what that costs, measured."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from craton.cli.completion import complete_model
from craton.cli.connection import key_option
from craton.cli.home import caller, opened
from craton.cli.models_files import laid_out, new_name, one_gguf, store
from craton.cli.output import hint, human_bytes, json_option, print_json, print_table, say
from craton.core.errors import Unsupported

if TYPE_CHECKING:
    from craton.conversion.quantising.measuring import Measured
    from craton.conversion.quantising.quantising import Report

KINDS = ("q8_0", "q6_k", "q5_k_m", "q5_1", "q5_0", "q4_k_m", "q4_1", "q4_0")


@click.command()
@click.argument("name", shell_complete=complete_model)
@click.option(
    "--to", "kind", type=click.Choice(KINDS, case_sensitive=False), required=True, help="The kind of numbers."
)
@click.option(
    "--name", "as_name", metavar="NAMESPACE/NAME", help="Of the new model. Default: the old one's with -KIND."
)
@click.option(
    "--text", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Measure perplexity on this text."
)
@click.option(
    "--test",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='JSON lines of {"prompt", "completion"}: the share of answers that begin as they should.',
)
@click.option("--tokens", type=click.IntRange(16, 8192), default=256, show_default=True, help="Of the text, at most.")
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="While measuring.")
@key_option
@json_option
def quantize(
    name: str,
    kind: str,
    as_name: str | None,
    text: Path | None,
    test: Path | None,
    tokens: int,
    threads: int,
    key: str | None,
    as_json: bool,
) -> None:
    """Make a smaller copy of the model NAME, and measure what that costs.

    Perplexity (lower is better), speed and size are shown before beside after. Needs no server.

    \b
    craton models quantize smollm2-135m-instruct --to q4_0
    craton models quantize acme/llama --to q4_k_m --text handbook.txt --test questions.jsonl
    """
    from craton.conversion.quantising.quantising import Order, quantise, read_cases

    with opened() as platform, tempfile.TemporaryDirectory(prefix="craton-quantise-") as place:
        who = caller(platform, key)
        folder = Path(place) / "model"
        info = laid_out(platform, who, name, folder)
        source = one_gguf(folder)
        if source is None:
            raise Unsupported(
                f"Quantising {name}, which holds no GGUF file", f"Convert it first: `craton models convert {name}`."
            )
        order = Order(
            kind,
            text.read_text(errors="replace") if text else "",
            tokens,
            read_cases(test) if test else (),
            info.chat_template or "",
            threads,
        )
        target = Path(place) / f"model-{kind.lower()}.gguf"
        say(f"{info.id}: measuring, rewriting as {kind.upper()}, measuring again ...")
        report = quantise(source.resolve(), target, order)
        repo = new_name(info.id, as_name, kind.lower().replace("_", "-"))
        card = {"base_model": info.id, "base_model_relation": "quantized"}
        done = store(platform, who, repo, {target.name: target}, f"{info.id} as {kind.upper()}", card)
    if as_json:
        print_json({"model": done.info.id, "revision": done.info.revision, "base": info.id, **_values(report)})
        return
    _show(report)
    hint(f"Try: craton chat --model {done.info.id}")


def _values(report: Report) -> dict[str, object]:
    import msgspec

    return dict(msgspec.to_builtins(report))


def _show(report: Report) -> None:
    before, after = report.before, report.after
    rows = [
        ("size", human_bytes(before.size), human_bytes(after.size), f"x {after.size / before.size:.2f}"),
        _row("perplexity", before, after, "perplexity"),
        _row("reading, tokens/s", before, after, "read"),
        _row("writing, tokens/s", before, after, "write"),
    ]
    if before.score is not None and after.score is not None:
        rows.append(
            ("right answers", f"{before.score:.1%}", f"{after.score:.1%}", f"{after.score - before.score:+.1%}")
        )
    print_table(("", "BEFORE", "AFTER", "CHANGE"), rows, "", right=("BEFORE", "AFTER", "CHANGE"))
    if report.requantised:
        say(f"It was quantised before ({report.requantised}): its original would lose less.", fg="yellow")


def _row(title: str, before: Measured, after: Measured, name: str) -> tuple[str, ...]:
    old, new = float(getattr(before, name)), float(getattr(after, name))
    return title, f"{old:,.1f}", f"{new:,.1f}", f"{(new / old - 1) * 100:+.1f}%"
