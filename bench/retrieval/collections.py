"""What is searched: SciFact, this project's own words, and SQuAD's paragraphs."""

from __future__ import annotations

import ast
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from bench.retrieval.measures import Grades

_SENTENCE_END = re.compile(r"(?<=[.])\s")
_MARKS = re.compile(r"[#`*_]")
_LEAST = 200  # characters of a text that is worth searching for
_MOST = 5_000
_MODULES = 150


class Collection(Struct, frozen=True):
    """texts: title and body as one. titles: "" where the title is what is asked. grades: of each question. train and
    test: rows of questions; what has no training questions is only measured."""

    name: str
    texts: list[str]
    titles: list[str]
    questions: list[str]
    grades: list[Grades]
    train: list[int]
    test: list[int]


def scifact(folder: Path) -> Collection:
    documents = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
    number = {document["_id"]: index for index, document in enumerate(documents)}
    asked = {
        query["_id"]: query["text"] for query in map(json.loads, (folder / "queries.jsonl").read_text().splitlines())
    }
    grades: dict[str, dict[int, int]] = {}
    parts: dict[str, list[str]] = {"train": [], "test": []}
    for part, names in parts.items():
        for line in (folder / f"{part}.tsv").read_text().splitlines()[1:]:
            query, document, grade = line.split("\t")
            if int(grade) > 0:
                if query not in grades:
                    grades[query] = {}
                    names.append(query)
                grades[query][number[document]] = int(grade)
    questions = [*parts["train"], *parts["test"]]
    cut = len(parts["train"])
    return Collection(
        "scifact",
        [f"{document['title']}\n\n{document['text']}" for document in documents],
        [document["title"] for document in documents],
        [asked[name] for name in questions],
        [grades[name] for name in questions],
        list(range(cut)),
        list(range(cut, len(questions))),
    )


def own_words(root: Path, seed: int = 7) -> Collection:
    """Sections of the documentation, asked for by their headings; some modules, asked for by their first sentence.
    Neither stands in the text that is to be found."""
    modules = list(_modules(root / "src"))
    pairs = [*_sections(root), *random.Random(seed).sample(modules, min(_MODULES, len(modules)))]
    return _paired("docs", [text for _, text in pairs], [(question, row) for row, (question, _) in enumerate(pairs)])


def _sections(root: Path) -> Iterator[tuple[str, str]]:
    for path in (root / "README.md", *sorted(root.glob("docs/*.md")), *sorted(root.glob("lessons/*.md"))):
        title = heading = ""
        body: list[str] = []
        fenced = False
        for line in (*path.read_text().splitlines(), "# end"):
            fenced ^= line.startswith("```")
            if fenced or not re.match(r"#{1,4} ", line):
                body.append(line)
                continue
            text = "\n".join(body).strip()
            if heading and len(text) >= _LEAST:
                yield (heading if heading == title else f"{title}: {heading}"), text
            heading, body = _MARKS.sub("", line).strip(), []
            title = title or heading


def _modules(source: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(source.rglob("*.py")):
        code = path.read_text()
        said = ast.get_docstring(ast.parse(code))
        if said:
            first = _SENTENCE_END.split(" ".join(said.split("\n\n")[0].split()))[0]
            rest = said.partition("\n\n")[2] + "\n\n" + code.split('"""', 2)[2]
            if len(rest) >= _LEAST:
                yield _MARKS.sub("", first), rest.strip()[:_MOST]


def squad(path: Path, seed: int = 7) -> Collection:
    """Two answerable questions of each paragraph."""
    chosen = random.Random(seed)
    texts: list[str] = []
    asked: list[tuple[str, int]] = []
    for article in json.loads(path.read_text())["data"]:
        for paragraph in article["paragraphs"]:
            questions = [one["question"] for one in paragraph["qas"] if not one["is_impossible"]]
            asked += [(question, len(texts)) for question in chosen.sample(questions, min(2, len(questions)))]
            texts.append(paragraph["context"])
    return _paired("squad", texts, asked)


def _paired(name: str, texts: list[str], asked: list[tuple[str, int]]) -> Collection:
    questions = [question for question, _ in asked]
    return Collection(
        name, texts, [""] * len(texts), questions, [{row: 1} for _, row in asked], [], list(range(len(asked)))
    )
