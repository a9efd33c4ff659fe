"""Reads a lesson: a plain Markdown file whose fenced blocks say in their info string what they are.

    ---                                     front matter
    title: Tokens
    minutes: 3
    models: [smollm2-135m-instruct]
    packages: [boto3]
    config: |                               what the server's config.toml must say, when it must say anything
      [outgoing]
      allow = ["127.0.0.1/32"]
    ---
    ```text predict kind=number             a question; with kind=choice each line "- ..." is an answer
    ```python run name=count                code that is run; `sh` is the other language
    ```python check name=exact row=llm/x    passes when it ends well; row= may name several, with commas
    ```python break name=guess breaks=exact damages what a check looks at: the check must fail then
    ```sh cleanup name=away                 puts the server back

Every other block is prose: it is shown, and never run. A step may have seconds=60.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import get_args

import msgspec
from msgspec import Struct

from craton.core.errors import InvalidRequest
from craton.lessons.words import STEP_SECONDS, Lesson, Part, Prediction, Prose, Role, Step

FRONT = re.compile(r"\A---\n(.*?\n)---\n", re.DOTALL)
FENCE = re.compile(r"^(`{3,})(.*)$")
NAME = re.compile(r"[a-z][a-z0-9-]*")
ROLES = get_args(Role)
KEYS = {
    "predict": {"kind"},
    "run": {"name", "seconds"},
    "check": {"name", "seconds", "row"},
    "break": {"name", "seconds", "breaks"},
    "cleanup": {"name", "seconds"},
}


class Front(Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    minutes: int
    models: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    config: str = ""


def read_lesson(name: str, text: str) -> Lesson:
    """name: the file's name without ".md". Raises InvalidRequest whose field is "FILE:LINE"."""
    front = FRONT.match(text)
    if front is None:
        raise _wrong(name, 1, "a lesson begins with front matter between two lines '---'")
    try:
        about = msgspec.yaml.decode(front[1].encode(), type=Front)
        tomllib.loads(about.config)
    except (msgspec.DecodeError, msgspec.ValidationError, tomllib.TOMLDecodeError) as error:
        raise _wrong(name, 1, f"the front matter is wrong: {error}") from error
    parts = tuple(_parts(name, text[front.end() :].split("\n"), text[: front.end()].count("\n") + 1))
    lesson = Lesson(name, about.title, about.minutes, about.models, about.packages, parts, about.config)
    _examine(lesson)
    return lesson


def _parts(name: str, lines: list[str], first: int) -> Iterator[Part]:
    """first: the number of the first of these lines in the file."""
    prose: list[str] = []
    position = 0
    while position < len(lines):
        fence = FENCE.match(lines[position])
        if fence is None:
            prose.append(lines[position])
            position += 1
            continue
        end = next((at for at in range(position + 1, len(lines)) if lines[at] == fence[1]), None)
        if end is None:
            raise _wrong(name, first + position, "the block is not closed")
        body, part = lines[position + 1 : end], None
        words = fence[2].split()
        if len(words) > 1:
            part = _block(name, first + position, words, "\n".join(body) + "\n")
            if text := "\n".join(prose).strip():
                yield Prose(text)
            prose = []
            yield part
        else:
            prose += lines[position : end + 1]
        position = end + 1
    if text := "\n".join(prose).strip():
        yield Prose(text)


def _block(name: str, line: int, words: list[str], body: str) -> Part:
    language, role = words[:2]
    if role not in KEYS:
        raise _wrong(name, line, f"{role!r} is none of {', '.join(KEYS)}")
    given = dict(word.partition("=")[::2] for word in words[2:])
    if unknown := sorted(set(given) - KEYS[role]):
        raise _wrong(name, line, f"a {role} block has no {', '.join(unknown)}")
    if role == "predict":
        return _prediction(name, line, given.get("kind", "text"), body)
    if language not in {"python", "sh"}:
        raise _wrong(name, line, f"{language!r} cannot be run, only python and sh")
    if not NAME.fullmatch(given.get("name", "")):
        raise _wrong(name, line, f"a {role} block needs name= of small letters, digits and '-'")
    try:
        return msgspec.convert(
            {
                "role": role,
                "language": language,
                "name": given["name"],
                "code": body,
                "line": line,
                "seconds": given.get("seconds", STEP_SECONDS),
                "rows": tuple(filter(None, given.get("row", "").split(","))),
                "breaks": given.get("breaks", ""),
            },
            Step,
            strict=False,
        )
    except msgspec.ValidationError as error:
        raise _wrong(name, line, str(error)) from error


def _prediction(name: str, line: int, kind: str, body: str) -> Prediction:
    if kind not in {"choice", "number", "text"}:
        raise _wrong(name, line, "kind= is choice, number or text")
    choices = tuple(text[2:].strip() for text in body.splitlines() if text.startswith("- "))
    question = "\n".join(text for text in body.splitlines() if not text.startswith("- ")).strip()
    if not question or (kind == "choice") != (len(choices) > 1):
        raise _wrong(name, line, "a prediction is a question; with kind=choice, and only then, lines '- ...' follow")
    return Prediction("choice" if kind == "choice" else "number" if kind == "number" else "text", question, choices)


def _examine(lesson: Lesson) -> None:
    """What only the whole lesson can tell."""
    seen: set[str] = set()
    checks = {step.name for step in lesson.steps("check")}
    for step in (part for part in lesson.parts if isinstance(part, Step)):
        if step.name in seen:
            raise _wrong(lesson.name, step.line, f"the name {step.name!r} is used twice")
        seen.add(step.name)
        if step.role == "break" and step.breaks not in checks:
            raise _wrong(lesson.name, step.line, f"breaks= must name a check of this lesson, not {step.breaks!r}")
    if not checks:
        raise _wrong(lesson.name, 1, "a lesson needs a check")


def _wrong(name: str, line: int, reason: str) -> InvalidRequest:
    return InvalidRequest(reason, f"{name}.md:{line}")
