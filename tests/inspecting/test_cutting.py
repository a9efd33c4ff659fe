"""A text's tokens: they are the engine's own, and together they are the text again."""

from __future__ import annotations

from pathlib import Path

import pytest

from craton.core.errors import Damaged, Unsupported
from craton.inspecting.cutting import cut
from craton.inspecting.frames import Source
from craton.inspecting.values import Piece
from tests.inspecting.tiny import IDS, TEXT, tokenizer

WILD = "Hello, wörld!\n  3,141 \U0001f600 <|im_end|> na\u00efve\t\u4f60\u597d"


def test_the_starters_tokens_are_the_text_again_and_marks_are_told_apart(starter_files: Path) -> None:
    path = starter_files / "SmolLM2-135M-Instruct.Q4_1.gguf"
    pieces = cut(Source("smol", {path.name: str(path)}), WILD)
    raw = b""
    for piece in pieces:
        if piece.text.startswith("<0x"):
            raw += bytes.fromhex(piece.text.replace("<0x", "").replace(">", ""))
        else:
            raw += piece.text.encode()
    assert raw.decode() == WILD
    assert [piece.text for piece in pieces if piece.special] == ["<|im_end|>"]


def test_an_encoders_marks_stand_around_the_text(starter_files: Path) -> None:
    folder = next(path.parent for path in starter_files.rglob("tokenizer.json"))
    pieces = cut(Source("mini", {path.name: str(path) for path in folder.iterdir()}), "Tokenisation")
    assert [piece.text for piece in pieces][:2] == ["[CLS]", "Token"]
    assert pieces[-1] == Piece(102, "[SEP]", "[SEP]", special=True)
    assert "".join(piece.text for piece in pieces[1:-1]) == "Tokenisation"
    assert pieces[2].token.startswith("##")


def test_a_repository_is_cut_by_its_tokenizer(tmp_path: Path) -> None:
    tokenizer(tmp_path)
    pieces = cut(Source("tiny", {"tokenizer.json": str(tmp_path / "tokenizer.json")}), TEXT)
    assert [piece.id for piece in pieces] == IDS
    assert [piece.text for piece in pieces] == TEXT.split()


def test_without_a_tokenizer_or_with_a_broken_one_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"tokenizer\.json"):
        cut(Source("tiny", {"model.safetensors": "x"}), "a")
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(Damaged):
        cut(Source("tiny", {"tokenizer.json": str(tmp_path / "tokenizer.json")}), "a")
