"""`craton kb` and `craton ask`, over a folder of this machine."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Craton, traced

TEXT = """# The ferry

**The last ferry** to Tarn leaves
at 21:50. Dogs must wear a muzzle.
"""


@pytest.fixture(scope="module")
def base(near: Craton, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "ferry.md").write_text(TEXT)
    near("kb", "create", "ferry", "--from", str(folder))
    return "ferry"


def test_a_quotation_stands_on_one_line_with_its_place(near: Craton, base: str) -> None:
    shown = near("ask", base, "When does the last ferry to Tarn leave?")
    assert shown.stdout.splitlines()[0] == "The last ferry to Tarn leaves at 21:50. [1]"
    assert "[1] s3://ferry/ferry.md\n    characters 13 to " in shown.stdout
    assert "Quoted from the sources" in shown.stderr


def test_json_is_word_for_word_with_the_id_that_trace_takes(near: Craton, base: str) -> None:
    answer = json.loads(near("ask", base, "When does the last ferry to Tarn leave?", "--json").stdout)
    (citation,) = answer["citations"]
    (reference,) = citation["references"]
    start = reference["passage"].get("start", 0) + reference["start"]
    assert citation["text"] == TEXT[start : start + len(citation["text"])] == answer["answer"]
    trace = traced(near, answer["request_id"])
    assert "s3://ferry/ferry.md  characters 0 to " in trace
    assert f"characters {start} to {start + len(citation['text'])}" in trace


def test_a_documents_text_is_what_citations_count_in(near: Craton, base: str) -> None:
    answer = json.loads(near("ask", base, "When does the last ferry to Tarn leave?", "--json").stdout)
    passage = answer["citations"][0]["references"][0]["passage"]
    assert near("kb", "text", base, passage["document"]).stdout.strip() == TEXT.strip()
    assert near("kb", "text", base, "0" * 32, check=False).returncode == 1


def test_what_the_documents_do_not_answer_is_declined(near: Craton, base: str) -> None:
    shown = near("ask", base, "Who won the football world cup of 1998?")
    assert shown.stdout == "The sources do not hold an answer to this question.\n"


def test_a_base_whose_source_is_refused_is_not_made(near: Craton) -> None:
    done = near("kb", "create", "sales", "--from", "postgresql:nowhere/sales", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "config.toml" in done.stderr
    left = [base for base in json.loads(near("kb", "list", "--json").stdout) if base["name"] == "sales"]
    assert all(base["status"] == "deleting" for base in left)


def test_an_unknown_base_is_told(near: Craton) -> None:
    for command in (("ask", "nope", "What?"), ("kb", "show", "nope"), ("kb", "search", "nope", "x")):
        done = near(*command, check=False)
        assert (done.returncode, done.stderr) == (1, "Error: There is no knowledge base 'nope'.\n")
