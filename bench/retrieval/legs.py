"""What both legs say of every question and every piece, computed exactly and once; vectors are kept in build/."""

from __future__ import annotations

import asyncio
import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bench.retrieval.collections import Collection
from bench.retrieval.measures import Matrix
from craton.core.knowledge import Chunking
from craton.core.model import EmbedRequest, ModelInfo
from craton.data.chunking.chunker import TokenizerChunker
from craton.data.chunking.sentences import sentence_spans
from craton.data.documents import Block, Chunk, Parsed
from craton.engines.bert import BertEngine
from craton.engines.protocol import EngineSpec
from craton.index.analysis import document_terms, query_terms
from craton.knowledge.ranking.wording import worded

Vectors = NDArray[np.float32]
DEFAULT = Chunking()
_WINDOW = 256  # tokens that the starter embedder reads


class Legs(Struct, frozen=True):
    """cut: each document's chunks. texts: of all chunks. worded: of each piece, what words are searched in. chunks: the
    chunk of each piece. of: the document of each chunk. starts: the first piece of each document (pieces
    stand in the documents' order), likewise sentence_starts. dense, nearest_sentence and lexical: (questions,
    documents) of the best piece or sentence. terms: of each document, term -> weight."""

    collection: Collection
    cut: list[tuple[Chunk, ...]]
    texts: list[str]
    worded: list[str]
    of: NDArray[np.intp]
    questions: Vectors
    pieces: Vectors
    chunks: NDArray[np.intp]
    starts: NDArray[np.intp]
    sentences: Vectors
    sentence_starts: NDArray[np.intp]
    dense_pieces: Matrix
    lexical_pieces: Matrix
    dense: Matrix
    nearest_sentence: Matrix
    lexical: Matrix
    terms: list[dict[int, float]]


class Desk:
    """The embedder and the chunker, as Craton has them."""

    def __init__(self, model: Path, cache: Path) -> None:
        files = {str(path.relative_to(model)): str(path) for path in model.rglob("*") if path.is_file()}
        info = ModelInfo(id="m", verbs=("embed",), engine="bert")
        self._engine = BertEngine.load(EngineSpec("bert", "m", info, files, {}))
        self._chunker = TokenizerChunker(model / "tokenizer.json", _WINDOW, lower_case=True)
        self._cache = cache
        self._runner = asyncio.Runner()

    def close(self) -> None:
        self._runner.run(self._engine.close())
        self._runner.close()

    def vectors(self, texts: list[str]) -> Vectors:
        name = hashlib.sha256("\0".join([self._chunker.version, *texts]).encode("utf-8", "replace")).hexdigest()[:32]
        path = self._cache / f"{name}.npy"
        if not path.exists():
            self._cache.mkdir(parents=True, exist_ok=True)
            parts = [self._embed(texts[start : start + 1024]) for start in range(0, len(texts), 1024)]
            np.save(path, np.concatenate(parts))
        found: Vectors = np.load(path)
        return found

    def _embed(self, texts: list[str]) -> Vectors:
        answer = self._runner.run(self._engine.embed(EmbedRequest("m", tuple(texts), truncate=True)))
        return np.frombuffer(answer.vectors, dtype="<f4").reshape(len(texts), answer.dimensions)

    def chunked(self, text: str, chunking: Chunking) -> tuple[Chunk, ...]:
        blocks = tuple(_paragraphs(text))
        return self._runner.run(self._chunker.chunk(Parsed(text, blocks, "text/plain"), chunking))


def _paragraphs(text: str) -> list[Block]:
    blocks, at = [], 0
    for part in text.split("\n\n"):
        if part.strip():
            blocks.append(Block(at, at + len(part), "paragraph"))
        at += len(part) + 2
    return blocks


def legs_of(collection: Collection, desk: Desk, chunking: Chunking = DEFAULT) -> Legs:
    pieces: list[str] = []
    worded_pieces: list[str] = []
    texts: list[str] = []
    of: list[int] = []
    chunks: list[int] = []
    starts: list[int] = []
    sentences: list[str] = []
    sentence_starts: list[int] = []
    cut = [desk.chunked(text, chunking) for text in collection.texts]
    for document, (text, title, parts) in enumerate(zip(collection.texts, collection.titles, cut, strict=True)):
        starts.append(len(pieces))
        for chunk in parts:
            spans = [text[chunk.start + piece.start : chunk.start + piece.end] for piece in chunk.pieces]
            pieces += spans
            worded_pieces += [worded(title, chunk.heading, span) for span in spans]
            chunks += [len(texts)] * len(spans)
            texts.append(text[chunk.start : chunk.end])
            of.append(document)
        sentence_starts.append(len(sentences))
        sentences += [text[start:end] for start, end in sentence_spans(text)]
    questions = desk.vectors(collection.questions)
    vectors, fine = desk.vectors(pieces), desk.vectors(sentences)
    first, first_sentence = np.array(starts), np.array(sentence_starts)
    dense = questions @ vectors.T
    lexical = _bm25([document_terms(piece) for piece in worded_pieces], collection.questions)
    return Legs(
        collection,
        cut,
        texts,
        worded_pieces,
        np.array(of),
        questions,
        vectors,
        np.array(chunks),
        first,
        fine,
        first_sentence,
        dense,
        lexical,
        np.maximum.reduceat(dense, first, axis=1),
        np.maximum.reduceat(questions @ fine.T, first_sentence, axis=1),
        np.maximum.reduceat(lexical, first, axis=1),
        [document_terms(text) for text in collection.texts],
    )


def _bm25(weights: list[dict[int, float]], questions: list[str]) -> Matrix:
    postings: dict[int, list[tuple[int, float]]] = {}
    for row, terms in enumerate(weights):
        for term, weight in terms.items():
            postings.setdefault(term, []).append((row, weight))
    scores = np.zeros((len(questions), len(weights)), dtype=np.float32)
    known: dict[int, tuple[NDArray[Any], NDArray[Any]]] = {}
    for number, question in enumerate(questions):
        for term in query_terms(question):
            if term in postings and term not in known:
                rows, values = zip(*postings[term], strict=True)
                rarity = math.log(1 + (len(weights) - len(rows) + 0.5) / (len(rows) + 0.5))
                known[term] = np.array(rows), rarity * np.array(values, dtype=np.float32)
            if term in known:
                scores[number, known[term][0]] += known[term][1]
    return scores
