"""Makes of a model's folder one that is served here: a checked GGUF file beside the safetensors.

Models that llama.cpp does not read, or would compute in another way, stay as they are: the transformers engine runs
them where it is installed, and the model's description says what is missing where it is not.
"""

from __future__ import annotations

import logging
from pathlib import Path

from craton.conversion.checking import PLAIN, check, try_out
from craton.core.errors import ModelUnavailable, Unsupported
from craton.formats.conversion import to_gguf, why_not
from craton.formats.conversion.folder import read_json
from craton.formats.conversion.vocabulary import chat_template
from craton.hub.writers import can_write, writes_text

FILE = "model.gguf"
TEMPLATE = "chat_template.jinja"

log = logging.getLogger("craton.conversion")


def prepare(folder: Path) -> str:
    """Why there is no GGUF file, "" when there is one. Blocks.

    A model without a chat template gets one that hands on what it is told as it stands, so it completes texts.
    Raises Damaged for files that contradict themselves, Unsupported for weights that nothing here loads.
    """
    if any(folder.glob("*.gguf")):
        return ""
    config = read_json(folder, "config.json")
    if not config or not any(folder.glob("*.safetensors")):
        return _no_weights(folder)
    if not writes_text(config):
        return "it does not write text"
    if not chat_template(folder):
        (folder / TEMPLATE).write_text(PLAIN)
    reason = why_not(config) or _converted(folder)
    if reason and can_write():
        try_out(folder, chat_template(folder))
    return reason


def _converted(folder: Path) -> str:
    """Why not, or ""."""
    target = folder / FILE
    try:
        convert(folder, target)
        check(folder, target)
    except (Unsupported, ModelUnavailable) as error:
        target.unlink(missing_ok=True)
        log.info("a model is not converted: %s", error)
        return str(error)
    return ""


def convert(folder: Path, target: Path, kind: str | None = None) -> str:
    """The kind of its weights. None: 16-bit floats, in the wider form where values need it."""
    if kind is not None:
        to_gguf(folder, target, kind)
        return kind
    try:
        to_gguf(folder, target, "f16")
    except Unsupported as error:
        if "kind bf16" not in error.hint:
            raise
        to_gguf(folder, target, "bf16")
        return "bf16"
    return "f16"


def _no_weights(folder: Path) -> str:
    """Raises Unsupported for what holds weights in pickles alone."""
    pickles = sorted(path.name for path in folder.rglob("*") if path.suffix in {".bin", ".pt", ".pth", ".pkl"})
    if pickles:
        raise Unsupported(
            f"Weights in a pickle ({pickles[0][:80]})",
            "Loading one can run anything; save them as safetensors: `model.save_pretrained(folder)`.",
        )
    return "it has no config.json or no safetensors file"
