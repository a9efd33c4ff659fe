"""Folders are the architecture: imports go down only, and siblings keep apart."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import craton

ROOT = Path(craton.__file__).parent

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"__main__"}),
    frozenset({"cli"}),
    frozenset({"lessons", "app"}),
    frozenset({"wire"}),
    frozenset({"customizing"}),
    frozenset({"knowledge", "training", "conversion", "batch", "inspecting"}),
    frozenset({"serve"}),
    frozenset({"data"}),
    frozenset({"hub", "engines", "access", "buckets", "jobs", "index"}),
    frozenset({"store", "formats", "children"}),
    frozenset({"core"}),
)
CORE_MAY_USE = {"msgspec"}


def level(part: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if part in layer)


@cache
def modules() -> tuple[tuple[Path, str, tuple[str, ...]], ...]:
    """Path, part, and the names of what is imported."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        relative = path.relative_to(ROOT)
        if relative != Path("__init__.py"):
            names = tuple(imported(ast.parse(path.read_text())))
            found.append((path, relative.parts[0].removesuffix(".py"), names))
    return tuple(found)


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""


def test_imports_go_down_only() -> None:
    wrong = []
    for path, part, names in modules():
        for name in names:
            pieces = name.split(".")
            if pieces[0] != "craton" or len(pieces) == 1 or pieces[1] == part:
                continue
            if level(pieces[1]) <= level(part):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_core_is_the_standard_library_and_msgspec() -> None:
    foreign = {
        f"{path.name}: {name}"
        for path, part, names in modules()
        if part == "core"
        for name in names
        if name.split(".")[0] not in sys.stdlib_module_names | CORE_MAY_USE | {"craton"}
    }
    assert foreign == set()


def test_dialects_do_not_know_each_other() -> None:
    """The one exception is said in `wire/native.py`: Craton's own routes word their errors as OpenAI does."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, part, names in modules()
        if part == "wire" and path.parent.name in {"aws", "openai", "anthropic"}
        for name in names
        if name.split(".")[:2] == ["craton", "wire"]
        and len(name.split(".")) > 2
        and name.split(".")[2] in {"aws", "openai", "anthropic"} - {path.parent.name}
    ]
    assert wrong == []
