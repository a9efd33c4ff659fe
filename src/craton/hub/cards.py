"""Model cards: README.md with YAML front matter, as the Hugging Face Hub defines it."""

from __future__ import annotations

from typing import Any

import yaml

MAX_FRONT_MATTER = 64 * 1024  # characters
MAX_BRACKETS = 200  # a thousand open ones keep PyYAML busy for two seconds
_FENCE = "---\n"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where PyYAML has it
_UNREADABLE = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What PyYAML raises for text that is no YAML, dates that are none and tags that it should not have tried."""


class Unreadable(ValueError):
    """Front matter that is no YAML mapping, or too much of one."""


def read_card(text: str) -> dict[str, Any]:
    """The front matter; {} when there is none, or none that is a YAML mapping (a card is prose, never an error)."""
    try:
        return front_matter(text)
    except Unreadable:
        return {}


def front_matter(text: str) -> dict[str, Any]:
    """The front matter; {} when there is none. Raises Unreadable, for those who check cards."""
    front, _ = _split(text)
    if front is None or not front.strip():
        return {}
    if len(front) > MAX_FRONT_MATTER or front.count("[") + front.count("{") > MAX_BRACKETS:
        raise Unreadable(f"the metadata is longer than {MAX_FRONT_MATTER:,} characters or nested too often")
    try:
        fields = yaml.load(front, Loader=_Loader)
    except _UNREADABLE as error:
        place = getattr(error, "problem_mark", None)
        line = f" in line {place.line + 2}" if place is not None else ""
        raise Unreadable(f"the metadata is not valid YAML{line}") from error
    if not isinstance(fields, dict):
        raise Unreadable("the metadata is not a YAML mapping")
    return fields


def complete_card(text: str | None, fields: dict[str, Any], title: str) -> str:
    """The card with those of the fields that it lacks; its own words are kept. Without one: a new, short card."""
    if text is None:
        return _write(fields, f"# {title}\n")
    known = read_card(text)
    missing = {key: value for key, value in fields.items() if key not in known}
    front, body = _split(text)
    if not missing:
        return text
    if front is not None and not known and front.strip():
        return text  # front matter that cannot be read is not rewritten
    return _write({**known, **missing}, body)


def card_text(fields: dict[str, Any], key: str) -> str:
    """A field that should be a string, or a list of them (the first counts); "" when it is anything else."""
    value = fields.get(key)
    if isinstance(value, list) and value:
        value = value[0]
    return value[:200].encode(errors="replace").decode() if isinstance(value, str) else ""


def _write(fields: dict[str, Any], body: str) -> str:
    front = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True) if fields else ""
    return f"{_FENCE}{front}{_FENCE}\n{body.lstrip()}"


def _split(text: str) -> tuple[str | None, str]:
    """Front matter (None when there is none) and body."""
    text = text.replace("\r\n", "\n").removeprefix("\ufeff")
    begun = text.lstrip()
    if not begun.startswith(_FENCE):
        return None, text
    text = begun
    end = text.find("\n---", len(_FENCE) - 1)
    if end < 0:
        return None, text
    return text[len(_FENCE) : end + 1], text[end + 4 :].partition("\n")[2]
