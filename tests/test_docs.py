"""What the documents say is true: pages are up to date, what they name exists, their examples run."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from craton.app.config import BlobSettings, HubSettings, MirrorSettings, QuotaSettings, load_settings
from tests.servers import RunningServer

ROOT = Path(__file__).parent.parent


def test_operations_page_is_what_the_route_table_says() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "operations.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


PROSE = (
    "README.md",
    "docs/tour.md",
    "docs/decisions.md",
    "docs/rag.md",
    "docs/databases.md",
    "docs/hub.md",
    "docs/models.md",
    "docs/tuning.md",
    "docs/inspecting.md",
    "docs/training.md",
    "docs/predicting.md",
    "docs/batch.md",
    "docs/customization.md",
    "docs/compatibility.md",
    "bench/README.md",
)
TOP = {path.name for path in (ROOT / "src" / "craton").iterdir() if (path / "__init__.py").is_file()}


@pytest.mark.parametrize("page", PROSE)
def test_files_that_are_named_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    named = re.findall(r"`((?:src|tests|bench|docs|tools|examples)/[\w./-]+)`", text)
    linked = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    missing = [name for name in named if not (ROOT / name).exists()]
    missing += [link for link in linked if not ((ROOT / page).parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PROSE)
def test_names_in_the_code_that_are_named_exist(page: str) -> None:
    """`serve.inference.Inference.chat` must lead to something."""
    text = (ROOT / page).read_text()
    named = {name for name in re.findall(r"`([a-z_]+(?:\.\w+)+)`", text) if name.split(".")[0] in TOP}
    assert [name for name in sorted(named) if not exists(name)] == []


def exists(dotted: str) -> bool:
    parts = ["craton", *dotted.split(".")]
    for length in range(len(parts), 1, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[length:]:
            if not hasattr(found, attribute):
                return False
            found = getattr(found, attribute)
        return True
    return False


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


EXAMPLES = blocks("README.md", "python")


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_readmes_examples_run(model_server: RunningServer, number: int, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text(EXAMPLES[number])
    answer = model_server.craton("exec", "--", sys.executable, str(script)).stdout
    assert "learning" in answer.lower(), answer


@pytest.mark.parametrize("page", PROSE)
def test_configuration_that_is_shown_is_taken(page: str, tmp_path: Path) -> None:
    for shown in blocks(page, "toml"):
        (tmp_path / "config.toml").write_text(shown)
        load_settings(tmp_path / "config.toml")


def test_the_hubs_example_runs(server: RunningServer, tmp_path: Path) -> None:
    (example,) = blocks("docs/hub.md", "python")
    script = tmp_path / "example.py"
    script.write_text(example)
    said = server.craton("exec", "--", sys.executable, str(script)).stdout
    assert Path(said.strip()).name == "config.json"


def test_the_settings_of_the_hub_are_those_that_there_are() -> None:
    rows = re.findall(r"^\| `\[(\w+)(?:\.NAME)?\] (.*?)` \|", (ROOT / "docs" / "hub.md").read_text(), re.MULTILINE)
    tables = {"hub": HubSettings, "hubs": MirrorSettings, "blobs": BlobSettings, "quotas": QuotaSettings}
    for table, settings in tables.items():
        named = {name for found, names in rows if found == table for name in names.replace("`", "").split(", ")}
        assert named == set(settings.__struct_fields__), table
