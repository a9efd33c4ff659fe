"""An adapter and its base, as the one model that is run."""

from __future__ import annotations

from msgspec.structs import replace

from craton.core.errors import Unsupported
from craton.serve.target import Target


def over(adapter: Target, base: Target) -> Target:
    """What the base is with the adapter over it: its files beside the base's, under its own name, with its chat
    template if it has one.

    Raises Unsupported for a base over which nothing is applied.
    """
    info = base.info
    if info.base:
        raise Unsupported(f"The adapter {adapter.info.id!r} over {info.id!r}, which is an adapter itself")
    if info.engine != "llama_cpp":
        reason = (info.details or {}).get("refused")
        raise Unsupported(
            f"The adapter {adapter.info.id!r} over {info.id!r}",
            f"Its base has to be a GGUF model that is served here{f': {reason}' if reason else ''}.",
        )
    template = adapter.info.chat_template or info.chat_template
    if template is None:
        raise Unsupported(f"The adapter {adapter.info.id!r}", f"Neither it nor {info.id!r} has a chat template.")
    weights = {name: digest for name, digest in base.files.items() if name.lower().endswith(".gguf")}
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
        weights | {name: digest for name, digest in adapter.files.items() if not name.lower().endswith(".gguf")},
    )
