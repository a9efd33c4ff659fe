from __future__ import annotations

import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path

import anyio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from craton.core.errors import Damaged, InvalidRequest, Unsupported
from craton.core.knowledge import Chunking
from craton.data.chunking.chunker import TokenizerChunker
from craton.data.documents import Block, Chunk, Chunker, Parsed
from tests.data.chunking.texts import byte_level, parsed_texts, uncovered, wordpiece

FOLDER = Path(tempfile.mkdtemp(prefix="craton-tokenizers-"))
WORDPIECE, BYTE_LEVEL = wordpiece(FOLDER), byte_level(FOLDER)


async def letters(texts: Sequence[str]) -> bytes:
    """An embedding: how often each letter stands in a text."""
    rows = np.zeros((len(texts), 27), np.float32)
    for row, text in zip(rows, texts, strict=True):
        row[26] = 0.1
        for letter in text.lower():
            if "a" <= letter <= "z":
                row[ord(letter) - 97] += 1
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.tobytes()


chunkings = st.one_of(
    st.builds(Chunking, st.just("fixed"), max_tokens=st.integers(4, 60), overlap_percent=st.integers(0, 60)),
    st.builds(
        Chunking,
        st.just("hierarchical"),
        max_tokens=st.integers(4, 20),
        parent_tokens=st.integers(20, 80),
        overlap_tokens=st.integers(0, 3),
    ),
    st.builds(
        Chunking, st.just("semantic"), max_tokens=st.integers(4, 60), buffer=st.integers(0, 2), percentile=st.just(80)
    ),
    st.just(Chunking("none")),
    st.builds(Chunking, st.sampled_from(["fixed", "hierarchical", "semantic"]), overlap_tokens=st.integers(0, 90)),
)


def chunked(parsed: Parsed, chunking: Chunking, tokenizer: Path | None, window: int) -> tuple[Chunk, ...]:
    async def run() -> tuple[Chunk, ...]:
        chunker: Chunker = TokenizerChunker(tokenizer, window, letters)
        return await chunker.chunk(parsed, chunking)

    return anyio.run(run)


def piece_texts(parsed: Parsed, chunks: Sequence[Chunk]) -> list[str]:
    return [parsed.text[c.start + p.start : c.start + p.end] for c in chunks for p in c.pieces]


@pytest.mark.parametrize("tokenizer", [WORDPIECE, BYTE_LEVEL], ids=["wordpiece", "byte-level"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(parsed=parsed_texts(), chunking=chunkings, window=st.sampled_from([12, 24, 48]))
def test_pieces_fit_the_window_and_leave_nothing_out(
    tokenizer: Path, parsed: Parsed, chunking: Chunking, window: int
) -> None:
    chunks = chunked(parsed, chunking, tokenizer, window)
    text = parsed.text
    assert bool(chunks) == bool(text.strip())
    exact = Tokenizer.from_file(str(tokenizer))
    assert all(len(exact.encode(piece).ids) <= window for piece in piece_texts(parsed, chunks))
    assert uncovered(text, [(c.start + p.start, c.start + p.end) for c in chunks for p in c.pieces]) == ""
    for chunk in chunks:
        assert 0 <= chunk.start < chunk.end <= len(text)
        assert all(0 <= piece.start < piece.end <= chunk.end - chunk.start for piece in chunk.pieces)
        assert text[chunk.start : chunk.end].strip() == text[chunk.start : chunk.end]
    starts = [chunk.start for chunk in chunks]
    assert starts == sorted(starts)
    if chunking.strategy != "none":
        limit = chunking.parent_tokens if chunking.strategy == "hierarchical" else chunking.max_tokens or window
        sizes = [len(exact.encode(text[c.start : c.end], add_special_tokens=False).ids) for c in chunks]
        assert all(size <= max(limit, 4) for size in sizes)
    assert chunked(parsed, chunking, tokenizer, window) == chunks


@settings(max_examples=60, deadline=None)
@given(parsed=parsed_texts(), chunking=chunkings, window=st.sampled_from([16, 64]))
def test_without_a_tokenizer_no_piece_has_more_bytes_than_the_window_has_tokens(
    parsed: Parsed, chunking: Chunking, window: int
) -> None:
    chunks = chunked(parsed, chunking, None, window)
    assert all(len(piece.encode()) <= window for piece in piece_texts(parsed, chunks))
    assert uncovered(parsed.text, [(c.start, c.end) for c in chunks]) == ""


def test_a_chunk_knows_its_headings_and_its_page() -> None:
    text = "# Book\n\nIntro.\n\n## Keys\n\nRotate them often. Keep them safe."
    blocks = (
        Block(0, 6, "heading", 1, 1),
        Block(8, 14, "paragraph", 0, 1),
        Block(16, 23, "heading", 2, 2),
        Block(25, len(text), "paragraph", 0, 2),
    )
    chunks = chunked(Parsed(text, blocks, "text/markdown"), Chunking(max_tokens=24, overlap_percent=0), WORDPIECE, 64)
    assert next((chunk.heading, chunk.page) for chunk in chunks) == ("Book", 1)
    last = chunks[-1]
    assert (last.heading, last.page) == ("Book > Keys", 2)
    assert not any(text[c.start : c.end].endswith("## Keys") for c in chunks)


def test_a_table_is_cut_between_rows_and_its_header_stays_known() -> None:
    rows = "".join(f"\n| n{number} | {number} |" for number in range(40))
    text = f"| name | age |\n| --- | --- |{rows}"
    parsed = Parsed(text, (Block(0, len(text), "table"),), "text/csv")
    chunks = chunked(parsed, Chunking(max_tokens=60, overlap_percent=0), WORDPIECE, 64)
    assert len(chunks) > 2
    for chunk in chunks:
        assert text[chunk.start] == "|"
        assert text[chunk.end - 1] == "|"
    assert chunks[-1].heading == "name, age"


def test_neighbours_share_whole_sentences() -> None:
    text = " ".join(f"Fox number {number} sleeps." for number in range(30))
    chunks = chunked(Parsed(text, (), "text/plain"), Chunking(max_tokens=60, overlap_percent=40), WORDPIECE, 64)
    assert all(after.start < before.end for before, after in itertools.pairwise(chunks))
    assert all(text[chunk.start : chunk.start + 3] == "Fox" for chunk in chunks)


@pytest.mark.parametrize("window", [48, 2000])
def test_who_says_no_size_gets_chunks_that_are_read_whole_and_no_longer_than_300_tokens(window: int) -> None:
    parsed = Parsed(" ".join(f"Fox number {number} sleeps." for number in range(400)), (), "text/plain")
    chunks = chunked(parsed, Chunking(), WORDPIECE, window)
    exact = Tokenizer.from_file(str(WORDPIECE))
    texts = [parsed.text[chunk.start : chunk.end] for chunk in chunks]
    longest = max(len(exact.encode(text, add_special_tokens=False).ids) for text in texts)
    assert min(window - 2, 300) * 0.8 <= longest <= min(window - 2, 300)
    assert piece_texts(parsed, chunks) == texts


def test_no_chunk_is_a_mere_rest_of_the_one_before() -> None:
    sentence = "Fox number one sleeps."
    exact = Tokenizer.from_file(str(WORDPIECE))
    each = len(exact.encode(sentence, add_special_tokens=False).ids)
    for count in range(1, 40):
        text = " ".join([sentence] * count)
        chunks = chunked(Parsed(text, (), ""), Chunking(max_tokens=10 * each, overlap_percent=0), WORDPIECE, 2000)
        assert all(text[chunk.start : chunk.end].count(sentence) >= min(count, 2) for chunk in chunks)
        assert len(chunks) == -(-count // 10)


def test_a_long_chunk_is_matched_by_as_few_pieces_as_can_be_and_all_are_full() -> None:
    sentence = "Fox number one sleeps."
    exact = Tokenizer.from_file(str(WORDPIECE))
    each = len(exact.encode(sentence, add_special_tokens=False).ids)
    parsed = Parsed(" ".join([sentence] * 25), (), "")
    (chunk,) = chunked(parsed, Chunking(max_tokens=25 * each), WORDPIECE, 10 * each + 2)
    assert [text.count(sentence) for text in piece_texts(parsed, [chunk])] == [10, 10, 10]


def test_words_are_not_cut() -> None:
    text = "brown " * 500
    chunks = chunked(Parsed(text, (), "text/plain"), Chunking(max_tokens=50), WORDPIECE, 32)
    assert {word for piece in piece_texts(Parsed(text, (), ""), chunks) for word in piece.split()} == {"brown"}


def test_a_long_run_of_letters_is_no_single_piece() -> None:
    text = "x" * 100_000
    chunks = chunked(Parsed(text, (), "text/plain"), Chunking(), WORDPIECE, 64)
    assert max(len(piece) for piece in piece_texts(Parsed(text, (), ""), chunks)) <= 62 * 32


def test_semantic_chunks_turn_where_the_letters_do() -> None:
    text = " ".join(["Aaaa aaaa aa."] * 8 + ["Zzzz zzzz zz."] * 8)
    chunks = chunked(Parsed(text, (), ""), Chunking("semantic", max_tokens=200, buffer=0), WORDPIECE, 256)
    assert [set(text[c.start : c.end].lower()) & set("az") for c in chunks] == [{"a"}, {"z"}]


async def refused(chunking: Chunking, error: type[Exception]) -> None:
    chunker = TokenizerChunker(WORDPIECE, 64)
    with pytest.raises(error):
        await chunker.chunk(Parsed("Some text.", (), ""), chunking)


@pytest.mark.parametrize(
    ("chunking", "error"),
    [
        (Chunking("semantic"), Unsupported),
        (Chunking(max_tokens=0), InvalidRequest),
        (Chunking(overlap_percent=100), InvalidRequest),
        (Chunking("hierarchical", max_tokens=300, parent_tokens=200), InvalidRequest),
        (Chunking("hierarchical", max_tokens=50, overlap_tokens=50), InvalidRequest),
    ],
)
def test_what_makes_no_sense_is_refused(chunking: Chunking, error: type[Exception]) -> None:
    anyio.run(refused, chunking, error)


def test_a_tokenizer_that_is_none_is_damaged(tmp_path: Path) -> None:
    broken = tmp_path / "tokenizer.json"
    broken.write_text("{}")
    with pytest.raises(Damaged):
        TokenizerChunker(broken, 64)
    with pytest.raises(InvalidRequest):
        TokenizerChunker(WORDPIECE, 2)


def test_the_version_tells_tokenizers_and_windows_apart() -> None:
    versions = {
        TokenizerChunker(*each).version for each in ((WORDPIECE, 64), (WORDPIECE, 65), (BYTE_LEVEL, 64), (None, 64))
    }
    assert len(versions) == 4
