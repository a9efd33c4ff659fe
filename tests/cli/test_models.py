"""`craton models`: pulled, shown, deleted, with a server and without."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Craton
from tests.servers import clean_environment, craton

STARTERS = ["all-minilm-l6-v2", "smollm2-135m-instruct"]


@pytest.fixture
def bert(tmp_path: Path, starter_files: Path) -> Path:
    """The embedding starter's files as somebody's own folder, with a pickle beside them."""
    folder = tmp_path / "My bert (v2)"
    folder.mkdir()
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        (folder / name).symlink_to(folder / f"{name}.real")
        (folder / f"{name}.real").write_bytes((starter_files / "all-MiniLM-L6-v2" / name).read_bytes())
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    return folder


def test_pulling_the_starters_again_changes_nothing(stocked_home: Path, starter_files: Path) -> None:
    environment = clean_environment(stocked_home)
    done = craton("models", "pull", "--starters", "--from", str(starter_files), "--json", environment=environment)
    assert [(item["model"], item["changed"]) for item in json.loads(done.stdout)] == [
        ("smollm2-135m-instruct", False),
        ("all-minilm-l6-v2", False),
    ]
    again = craton("models", "pull", "all-minilm-l6-v2", environment=environment)
    assert "was there already" in again.stdout
    assert "\x1b" not in again.stderr


def test_list_and_show_work_without_a_server(stocked_home: Path) -> None:
    environment = clean_environment(stocked_home) | {"CRATON_URL": ""}
    shown = json.loads(craton("models", "show", STARTERS[1], "--json", environment=environment).stdout)
    assert shown["parameters"] == 134_515_008
    fit = shown["fit"]
    assert fit["total"] == fit["weights"] + fit["kv_cache"] + fit["overhead"]
    assert fit["fits"] is (fit["total"] <= min(fit["available"], fit["limit"]))
    text = craton("models", "list", environment=environment).stdout
    assert all(name in text for name in STARTERS)


def test_show_answers_for_another_context_before_anything_is_loaded(near: Craton) -> None:
    ask = ("models", "show", "smollm2-135m-instruct", "--context", "1000", "--parallel", "2", "--json")
    fit = json.loads(near(*ask).stdout)["fit"]
    assert fit["kv_cache"] == 2 * 30 * 3 * 64 * 1000 * 2 * 2  # K and V, layers, heads, width, tokens, requests, bytes
    assert fit["kv_cache_tokens"] == 2000
    text = near("models", "show", "smollm2-135m-instruct", "--context", "100000000").stdout
    assert "It does not fit" in text
    told = json.loads(near("models", "list", "--json").stdout)
    assert [model["id"] for model in told] == ["all-minilm-l6-v2", "echo", "smollm2-135m-instruct"]
    assert {model["loaded"] for model in told} <= {True, False}


def test_weights_are_listed_from_the_header(near: Craton) -> None:
    told = json.loads(near("models", "show", "smollm2-135m-instruct", "--weights", "--json").stdout)
    assert told["parameters"] == 134_515_008
    assert told["parameters"] == sum(tensor["parameters"] for tensor in told["tensors"])
    text = near("models", "show", "all-minilm-l6-v2", "--weights").stdout
    assert "30522 x 384" in text
    assert near("models", "show", "echo", "--weights", check=False).returncode == 1
    elsewhere = near("models", "show", "x", "--weights", "--url", "http://127.0.0.1:8000", check=False)
    assert "CRATON_HOME" in elsewhere.stderr


def test_a_folder_is_pulled_embeds_and_is_deleted(near: Craton, bert: Path) -> None:
    pulled = near("models", "pull", str(bert))
    assert "local/My-bert-v2" in pulled.stdout
    assert "pytorch_model.bin" in pulled.stderr
    texts = ["a cat", "a kitten", "a tax form"]
    answer = json.loads(near("embed", "-m", "local/My-bert-v2", *texts, "--json").stdout)
    assert (answer["dimensions"], len(answer["vectors"])) == (384, 3)
    refused = near("models", "delete", "local/My-bert-v2", stdin="", check=False)
    assert (refused.returncode, "--yes" in refused.stderr) == (2, True)
    deleted = near("models", "delete", "local/My-bert-v2", "--yes", "--json")
    assert json.loads(deleted.stdout) == {"deleted": "local/My-bert-v2"}
    assert "My-bert" not in near("models", "list").stdout
    loaded = json.loads(near("status", "--json").stdout)["loaded"]
    assert "local/My-bert-v2" not in [model["model"] for model in loaded]


def test_likeness_is_shown_as_a_matrix_of_cosines(near: Craton) -> None:
    text = near("embed", "-", stdin="a cat\na kitten\n\na tax form\n").stdout
    rows = [line.split() for line in text.strip().splitlines()[-3:]]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert [float(rows[i][i + 1]) for i in range(3)] == [1.0, 1.0, 1.0]
    assert float(rows[0][2]) == float(rows[1][1]) > float(rows[0][3])
    many = near("embed", "-", stdin="".join(f"number {i}\n" for i in range(12))).stdout
    assert "NEAREST" in many


def test_only_the_operator_fills_what_all_tenants_share(near: Craton, starter_files: Path) -> None:
    key = near("keys", "create", "--role", "admin").stdout.strip()
    gguf = str(starter_files / "SmolLM2-135M-Instruct.Q4_1.gguf")
    for command in (("pull", gguf, "--shared"), ("delete", "all-minilm-l6-v2", "--yes"), ("pull", "--starters")):
        done = near("models", *command, "--key", key, check=False)
        assert (done.returncode, "may not operate" in done.stderr) == (1, True), command


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "--starters"),
        (("--starters", "x"), 2, "either"),
        (("nothing-here",), 1, "hf:org/name"),
        (("hf:nonsense",), 1, "hf:org/name"),
        (("hf:a/b", "--name", "c/d"), 2, "keeps its name"),
        (("smollm2-135m-instruct", "--name", "c/d"), 2, "leave --name away"),
    ],
)
def test_what_cannot_be_pulled_says_what_can(alone: Craton, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = alone("models", "pull", *arguments, check=False)
    assert (done.returncode, words in " ".join(done.stderr.split())) == (code, True), done.stderr


def test_a_broken_file_and_a_bad_name_are_refused(alone: Craton, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF\x03\0\0\0" + b"\xff" * 100)
    done = alone("models", "pull", str(broken), check=False)
    assert (done.returncode, "damaged" in done.stderr, "Traceback" in done.stderr) == (1, True, False)
    assert alone("models", "pull", str(broken), "--name", "noslash", check=False).returncode == 2
    assert json.loads(alone("models", "list", "--json").stdout) == []


def test_a_hub_is_called_only_where_it_was_named(alone: Craton) -> None:
    """HF_ENDPOINT is believed; nothing listens there, and nothing else is asked."""
    done = alone("models", "pull", "hf:acme/net", check=False, HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "hub could not be reached" in done.stderr
