"""An adapter and its base, as the one model that is run.

Adapters over one base share a worker, and with it one copy of the weights and one cache: `home` names it. The base by
itself has another, since llama.cpp works on one adapter (or on none) at a time: whoever asks the base should not wait
for somebody's adapter. Both map the same file, so the weights are in memory once all the same.
"""

from __future__ import annotations

import hashlib

from msgspec.structs import replace

from craton.core.errors import Unsupported
from craton.formats.peft import CONFIG, WEIGHTS
from craton.serve.target import Overlay, Target

_FLOAT = 4  # bytes: llama.cpp gets an adapter's numbers as float32, at most


def over(adapter: Target, base: Target) -> Target:
    """What the base is with the adapter over it: under the adapter's name, with its chat template if it has one.

    Raises Unsupported for a base over which nothing is applied.
    """
    info = base.info
    if info.base:
        raise Unsupported(f"The adapter {adapter.info.id!r} over {info.id!r}, which is an adapter itself")
    if info.engine == "bert" and adapter.info.engine == "bert":
        return _encoder(adapter, base)
    if info.engine != "llama_cpp" or adapter.info.engine != "llama_cpp":
        reason = (info.details or {}).get("refused")
        raise Unsupported(
            f"The adapter {adapter.info.id!r} over {info.id!r}",
            "Its base has to be a GGUF model that is served here (for an adapter of an encoder, an encoder)"
            f"{f': {reason}' if reason else ''}.",
        )
    template = adapter.info.chat_template or info.chat_template
    if template is None:
        raise Unsupported(f"The adapter {adapter.info.id!r}", f"Neither it nor {info.id!r} has a chat template.")
    files = {name: digest for name, digest in base.files.items() if _needed(name)}
    own = adapter.info
    return Target(
        f"{adapter.key}+{base.key}",
        replace(
            info,
            id=own.id,
            repo=own.repo,
            revision=own.revision,
            base=f"{info.id}@{info.revision}" if info.revision else info.id,
            provider=own.provider or info.provider,
            chat_template=template,
            verbs=own.verbs,
            license=own.license or info.license,
            size_bytes=info.size_bytes + own.size_bytes,
            created=own.created,
            details={name: value for name, value in (info.details or {}).items() if name != "refused"}
            | (own.details or {}),
        ),
        files,
        home=_home(base, template),
        overlay=Overlay(
            {name: digest for name, digest in adapter.files.items() if not name.lower().endswith(".gguf")},
            _FLOAT * (own.parameters or 0),
        ),
    )


def _encoder(adapter: Target, base: Target) -> Target:
    """With a worker of its own: the adapter is put into the weights when they are read."""
    own, info = adapter.info, base.info
    if own.verbs != info.verbs:
        raise Unsupported(f"The adapter {own.id!r}, made to {' and '.join(own.verbs)}, over {info.id!r}")
    named = replace(
        info,
        id=own.id,
        repo=own.repo,
        revision=own.revision,
        base=f"{info.id}@{info.revision}" if info.revision else info.id,
        size_bytes=info.size_bytes + own.size_bytes,
        created=own.created,
        details=(info.details or {}) | (own.details or {}),
    )
    return Target(
        f"{adapter.key}+{base.key}", named, base.files | {name: adapter.files[name] for name in (CONFIG, WEIGHTS)}
    )


def _needed(name: str) -> bool:
    return name.lower().endswith(".gguf") or name == "tokenizer.json"


def _home(base: Target, template: str) -> str:
    """llama.cpp has one chat template a worker: adapters with another one than the base's share another worker."""
    if template == base.info.chat_template:
        return f"{base.key}+adapters"
    return f"{base.key}+adapters:{hashlib.sha256(template.encode()).hexdigest()[:32]}"
