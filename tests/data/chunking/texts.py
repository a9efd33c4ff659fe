"""Tokenizers made on the spot, and strategies for texts of every kind."""

from __future__ import annotations

import itertools
from pathlib import Path

from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from craton.data.documents import Block, BlockKind, Parsed

WORDS = "the quick brown fox jumps over lazy dogs while Dr. Smith reads 3.5 pages of e.g. Moby Dick and sleeps"


def wordpiece(folder: Path) -> Path:
    """As BERT's: every letter is known, so that nothing becomes one unknown word but what is very long."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,!?#|-:>_()"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{x}" for x in letters), "the", "quick", "fox", "##er"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    path = folder / "wordpiece.json"
    tokenizer.save(str(path))
    return path


def byte_level(folder: Path) -> Path:
    """As GPT-2's: white space belongs to tokens, so the counts of parts do not add up."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([WORDS] * 20, trainer)
    path = folder / "bpe.json"
    tokenizer.save(str(path))
    return path


_word = st.sampled_from(
    [
        *WORDS.split(),
        "end.",
        "Why?",
        "e.g.",
        "J.",
        "U.S.",
        "#",
        "-",
        "|",
        "x" * 150,
        "日本語です。",
        "é",
        "1.",
        "🙂",
        "Wait...",
    ]
)
_space = st.sampled_from([" ", " ", " ", "\n", "\n\n", "\n- ", "\n# ", "\n| a | b |\n", "\n```\n", "  "])
texts = st.one_of(
    st.lists(st.tuples(_word, _space), max_size=80).map(lambda pairs: "".join(word + space for word, space in pairs)),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs"]), max_size=200),
    st.text("ab .?!\n|#`", max_size=300),
)
_KINDS: tuple[BlockKind, ...] = ("heading", "paragraph", "list", "table", "code", "row")


@st.composite
def parsed_texts(draw: st.DrawFn) -> Parsed:
    """Blocks as a parser gives them, with gaps between them."""
    text = draw(texts)
    if draw(st.booleans()) or not text:
        return Parsed(text, (), "text/plain")
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    blocks = [
        Block(start, end, kind, 2 if kind == "heading" else 0, page)
        for (start, end), kind, page in zip(
            itertools.pairwise(cuts),
            draw(st.lists(st.sampled_from(_KINDS), min_size=8, max_size=8)),
            draw(st.lists(st.sampled_from([None, 1, 2]), min_size=8, max_size=8)),
            strict=False,
        )
        if text[start:end].strip()
    ]
    return Parsed(text, tuple(blocks), "text/plain")


def uncovered(text: str, spans: list[tuple[int, int]]) -> str:
    """The characters of the text, other than white space, that no span holds."""
    held = bytearray(len(text))
    for start, end in spans:
        held[start:end] = b"\1" * (end - start)
    return "".join(x for x, covered in zip(text, held, strict=True) if not covered and not x.isspace())
