"""The events of discussions as clients read them (huggingface_hub `community.deserialize_event`)."""

from __future__ import annotations

import html
from typing import Any

from craton.hub.collaboration.words import Comment, Event, Pushed, StatusChange
from craton.wire.huggingface.people import write_person
from craton.wire.huggingface.values import write_time


def write_event(event: Event) -> dict[str, Any]:
    content = event.content
    if isinstance(content, Comment):
        kind, data = "comment", _comment(content)
    elif isinstance(content, StatusChange):
        kind, data = "status-change", {"status": content.status}
    elif isinstance(content, Pushed):
        kind, data = "commit", {"subject": content.subject, "oid": content.oid}
    else:
        kind, data = "title-change", {"from": content.old, "to": content.new}
    return {
        "id": event.id,
        "type": kind,
        "author": write_person(event.author),
        "createdAt": write_time(event.created),
        "data": data,
    }


def _comment(content: Comment) -> dict[str, Any]:
    data: dict[str, Any] = {
        "edited": content.edits > 0,
        "hidden": bool(content.hidden_by),
        "latest": _version(content.text, content.editor, content.written),
        "history": [_version(it.text, it.editor, it.written) for it in content.history],
        "numEdits": content.edits,
        "reactions": [],
        "isReport": False,
    }
    if content.hidden_by:
        data["hiddenBy"] = content.hidden_by
    return data


def _version(text: str, editor: str, written: float) -> dict[str, Any]:
    """html: the text as it stands, escaped: Markdown is rendered by whoever shows it."""
    return {
        "raw": text,
        "html": f"<pre>{html.escape(text)}</pre>",
        "updatedAt": write_time(written),
        "author": write_person(editor),
    }
