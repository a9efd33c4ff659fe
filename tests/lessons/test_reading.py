"""Lessons are plain Markdown; what is wrong in one is told with its file and line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from craton.core.errors import InvalidRequest
from craton.lessons.reading import read_lesson
from craton.lessons.words import Lesson, Prediction, Prose, Step

FRONT = "---\ntitle: A lesson\nminutes: 1\n---\n"
CHECK = "```python check name=fine\npass\n```\n"

WHOLE = """\
# Heading

```text predict kind=choice
Which?
- this
- that
```

Words.

```python
shown, never run
```

```sh run name=list seconds=5
ls
```

````python check name=seen row=llm/tokenization,llm/bias
print("```")
````

```python break name=spoil breaks=seen
raise SystemExit
```

```sh cleanup name=away
true
```
"""


def test_a_lesson_is_its_parts_in_order(lesson: Callable[[str], Lesson]) -> None:
    prose, predict, words, run, check, spoil, away = lesson(WHOLE).parts
    assert prose == Prose("# Heading")
    assert predict == Prediction("choice", "Which?", ("this", "that"))
    assert words == Prose("Words.\n\n```python\nshown, never run\n```")
    assert run == Step("run", "sh", "list", "ls\n", 19, seconds=5.0)
    assert check == Step("check", "python", "seen", 'print("```")\n', 23, rows=("llm/tokenization", "llm/bias"))
    assert spoil == Step("break", "python", "spoil", "raise SystemExit\n", 27, breaks="seen")
    assert away == Step("cleanup", "sh", "away", "true\n", 31)


@pytest.mark.parametrize(
    ("body", "line", "reason"),
    [
        ("```python run name=x\nprint()\n", 5, "not closed"),
        (CHECK + "\n```python runn name=x\n```\n", 9, "'runn'"),
        (CHECK + "```ruby run name=x\n```\n", 8, "'ruby'"),
        (CHECK + "```sh run\n```\n", 8, "name="),
        (CHECK + "```sh run name=../../x\n```\n", 8, "name="),
        (CHECK + "```sh run name=x row=llm/bias\n```\n", 8, "row"),
        (CHECK + "```sh run name=x seconds=soon\n```\n", 8, "seconds"),
        (CHECK + "```sh run name=fine\n```\n", 8, "twice"),
        (CHECK + "```sh break name=x breaks=nothing\n```\n", 8, "breaks="),
        (CHECK + "```text predict kind=choice\nWhich?\n```\n", 8, "prediction"),
        (CHECK + "```text predict kind=maybe\nWhich?\n```\n", 8, "kind="),
        ("Only prose.\n", 1, "needs a check"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(body: str, line: int, reason: str) -> None:
    with pytest.raises(InvalidRequest) as told:
        read_lesson("07-wrong", FRONT + body)
    assert told.value.field == f"07-wrong.md:{line}"
    assert reason in told.value.reason


@pytest.mark.parametrize(
    "front",
    [
        "",
        "---\ntitle: A\n---\n",
        "---\ntitle: [\n---\n",
        "---\ntitle: A\nminutes: 1\nx: 2\n---\n",
        "---\ntitle: A\nminutes: 1\nconfig: '[outgoing'\n---\n",
    ],
)
def test_front_matter_is_checked(front: str) -> None:
    with pytest.raises(InvalidRequest, match=r"07-wrong\.md:1"):
        read_lesson("07-wrong", front + CHECK)
