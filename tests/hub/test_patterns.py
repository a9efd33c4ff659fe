"""Patterns for paths, held against git itself."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from craton.hub.patterns import Attributes, Ignored

PARTS = ("a", "b", "ab", "*", "a*", "*b", "?", "[ab]", "[!a]", "[^b]", "**", "a**b", r"\*", ".x", "a b")
NAMES = ("a", "b", "ab", "aab", "*", ".x", "a b", "c")

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def patterns(source: random.Random, count: int) -> list[str]:
    found = []
    for _ in range(count):
        text = "/".join(source.choice(PARTS) for _ in range(source.randint(1, 3)))
        found.append(source.choice(("", "", "/")) + text)
    return found


def paths(source: random.Random) -> list[str]:
    return sorted({"/".join(source.choice(NAMES) for _ in range(source.randint(1, 4))) for _ in range(60)})


def git(folder: Path, *arguments: str, paths: list[str]) -> list[str]:
    asked = "\0".join(paths).encode() + b"\0"
    done = subprocess.run(["git", *arguments], cwd=folder, input=asked, capture_output=True, check=False, timeout=60)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.decode().split("\0")[:-1]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True, timeout=60)
    return tmp_path


@needs_git
@pytest.mark.parametrize("seed", range(12))
def test_what_is_ignored_is_what_git_ignores(repository: Path, seed: int) -> None:
    source = random.Random(seed)
    lines = [source.choice(("", "", "", "!")) + it + source.choice(("", "", "/")) for it in patterns(source, 4)]
    text = "# a comment\n\n" + "\n".join(lines) + "  \n"
    (repository / ".gitignore").write_text(text)
    asked = paths(source)
    ignored = Ignored(text)
    assert [it for it in asked if it in ignored] == git(
        repository, "check-ignore", "--no-index", "-z", "--stdin", paths=asked
    )


@needs_git
@pytest.mark.parametrize("seed", range(12))
def test_what_goes_into_lfs_is_what_git_puts_there(repository: Path, seed: int) -> None:
    source = random.Random(seed)
    values = ("filter=lfs diff=lfs -text", "-filter", "!filter", "text", "filter=other")
    named = [f'"{it}"' if " " in it else it for it in patterns(source, 4)]
    lines = [f"{it} {source.choice(values)}" for it in named]
    text = "\n".join(line.replace("\\", "\\\\") if line.startswith('"') else line for line in lines) + "\n"
    (repository / ".gitattributes").write_text(text)
    asked = paths(source)
    told = git(repository, "check-attr", "filter", "-z", "--stdin", paths=asked)
    large = [path for path, value in zip(told[::3], told[2::3], strict=True) if value == "lfs"]
    attributes = Attributes(text)
    assert [it for it in asked if attributes.large(it)] == large


def test_patterns_that_were_made_to_take_long_do_not() -> None:
    ignored = Ignored("\n".join(["*a" * 200 + "b", "**/a/" * 60 + "b", "[" * 300, "[!" + "a" * 300, "a/" * 250]))
    started = time.perf_counter()
    assert "/".join(["a"] * 60) + "/c" not in ignored
    assert "a" * 255 not in ignored
    assert time.perf_counter() - started < 1.0
