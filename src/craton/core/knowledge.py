"""The words of knowledge bases: what is asked, what is found, what is answered and where it stands.

A *document* is read from a *source*, parsed to one text, and cut into *chunks* (what is returned and read by models).
A chunk is matched by its *pieces*: spans short enough for the embedder to read whole. Spans count characters (code
points), end excluded.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from craton.core.chat import Json, Sampling, Value

# --- filters over a document's metadata ----------------------------------------------------------------------

Operator = Literal[
    "equals",
    "notEquals",
    "greaterThan",
    "greaterThanOrEquals",
    "lessThan",
    "lessThanOrEquals",
    "in",
    "notIn",
    "startsWith",
    "stringContains",
    "listContains",
]
Scalar = str | float | bool
MetadataValue = str | float | bool | tuple[str, ...]
Metadata = dict[str, MetadataValue]
"""What may be filtered on. Numbers are floats (an int that comes in becomes one)."""


class Compare(Value, frozen=True, tag="compare"):
    """value: a scalar; for "in" and "notIn" a tuple of scalars.

    A key that a document does not have matches only notEquals and notIn. A value of another type than the document's
    never matches (but notEquals and notIn do). startsWith: of a string. stringContains: a substring of a string, or of
    one member of a list. listContains: a whole member of a list. Numbers compare as numbers, strings by code point.
    """

    operator: Operator
    key: str
    value: Scalar | tuple[Scalar, ...]


class AllOf(Value, frozen=True, tag="all"):
    filters: tuple[Filter, ...]


class AnyOf(Value, frozen=True, tag="any"):
    filters: tuple[Filter, ...]


Filter = Compare | AllOf | AnyOf


class Access(Struct, frozen=True, omit_defaults=True):
    """Who may see a document. allow: users, empty for everyone; deny wins over allow."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def admits(self, user: str) -> bool:
        """user: "" for a caller who names none; such a one sees only what everyone may see."""
        return user not in self.deny and (not self.allow or (user != "" and user in self.allow))


# --- knowledge bases, their sources and documents --------------------------------------------------------------

Strategy = Literal["fixed", "hierarchical", "semantic", "none"]


class Chunking(Struct, frozen=True, omit_defaults=True):
    """How texts are cut. Sizes count the embedder's tokens. max_tokens None: as many as the embedder reads whole, but
    no more than 300.

    fixed: chunks of max_tokens that share overlap_percent with their neighbour. hierarchical: chunks of parent_tokens,
    matched by pieces of max_tokens that overlap by overlap_tokens. semantic: sentences joined while their embeddings
    (each with `buffer` neighbours) stay near: cut where the distance is above this percentile. none: one chunk for
    each document.
    """

    strategy: Strategy = "fixed"
    max_tokens: int | None = None
    overlap_percent: int = 20
    parent_tokens: int = 1500
    overlap_tokens: int = 60
    buffer: int = 1
    percentile: int = 95


class KnowledgeBase(Struct, frozen=True, omit_defaults=True):
    """embedder: a model's id; embedder_revision pins it, for vectors of another one cannot be compared.

    index: "edge" (embedded), "qdrant" or "postgres"; storage: what a dialect wants back word for word, and, under
    "register", the name under which the operator registered a server for it.
    """

    id: str
    tenant: str
    name: str
    embedder: str
    embedder_revision: str
    dimensions: int
    status: Literal["creating", "active", "updating", "deleting", "failed"]
    created: float
    updated: float
    description: str = ""
    index: str = "edge"
    storage: Json = {}
    extra: Json = {}
    failures: tuple[str, ...] = ()
    kind: Literal["vector", "sql"] = "vector"


SourceKind = Literal["folder", "bucket", "web", "sql", "api", "hub", "direct"]


class SourceSpec(Struct, frozen=True, omit_defaults=True):
    """Where documents come from. options: as `craton.data.sources` says for each kind. credential: the name under which
    the vault keeps a secret."""

    kind: SourceKind
    options: Json = {}
    credential: str = ""


class DataSource(Struct, frozen=True, omit_defaults=True):
    id: str
    tenant: str
    knowledge_base: str
    name: str
    spec: SourceSpec
    chunking: Chunking
    status: Literal["available", "deleting", "failed"]
    created: float
    updated: float
    description: str = ""
    keep_on_delete: bool = False
    extra: Json = {}
    failures: tuple[str, ...] = ()


DocumentStatus = Literal["pending", "in_progress", "indexed", "partially_indexed", "failed", "ignored", "deleting"]


class Location(Struct, frozen=True, omit_defaults=True):
    """Where the document is for people. uri: "s3://bucket/key", "https://...", "file:///...", a row's or record's
    address, or the caller's own id of a direct document."""

    kind: SourceKind
    uri: str


class Document(Struct, frozen=True, omit_defaults=True):
    """A ledger row. key: its name in its source. text: digest of the blob of its parsed text."""

    id: str
    knowledge_base: str
    source: str
    key: str
    location: Location
    status: DocumentStatus
    updated: float
    reason: str = ""
    title: str = ""
    media_type: str = ""
    bytes: int = 0
    characters: int = 0
    chunks: int = 0
    metadata: Metadata = {}
    access: Access = Access()
    text: str = ""


class Statistics(Struct, frozen=True, omit_defaults=True):
    """Documents, but for `metadata_*`, which count metadata files."""

    scanned: int = 0
    new: int = 0
    modified: int = 0
    deleted: int = 0
    failed: int = 0
    skipped: int = 0
    metadata_scanned: int = 0
    metadata_modified: int = 0


class Ingestion(Struct, frozen=True, omit_defaults=True):
    """One run over a source. job: the id of its job. eta: seconds. done counts documents that are finished with."""

    id: str
    tenant: str
    knowledge_base: str
    source: str
    job: str
    status: Literal["starting", "in_progress", "complete", "failed", "stopping", "stopped"]
    statistics: Statistics
    started: float
    updated: float
    description: str = ""
    failures: tuple[str, ...] = ()
    done: int = 0
    total: int | None = None
    eta: float | None = None


# --- retrieval ---------------------------------------------------------------------------------------------------


class Reranking(Struct, frozen=True, omit_defaults=True):
    """model: a reranking model's id. top: how many of the results to keep."""

    model: str
    top: int | None = None


class RetrieveRequest(Struct, frozen=True, omit_defaults=True):
    """mode None: whatever measured best. user: whose access lists count ("" = nobody in particular).

    decompose: split the question into simpler ones first. cursor: where an earlier page ended.
    """

    knowledge_base: str
    query: str
    top: int = 5
    mode: Literal["hybrid", "semantic"] | None = None
    filter: Filter | None = None
    reranking: Reranking | None = None
    user: str = ""
    decompose: bool = False
    cursor: str = ""


class Passage(Struct, frozen=True, omit_defaults=True):
    """A chunk that was found. start and end: where text stands in its document's parsed text. matched: the spans of the
    pieces that were hit, within text. score: comparable within one answer only, higher is better; 0 to 1.

    row: a database row that was found instead (column name -> value); query: the statement that gave it.
    """

    document: str
    chunk: int
    text: str
    location: Location
    score: float
    knowledge_base: str = ""
    source: str = ""
    title: str = ""
    start: int = 0
    end: int = 0
    page: int | None = None
    heading: str = ""
    matched: tuple[tuple[int, int], ...] = ()
    metadata: Metadata = {}
    row: Json | None = None
    query: str = ""


class Retrieved(Struct, frozen=True, omit_defaults=True):
    """queries: what was searched for (more than one after decomposition). cursor: "" at the end."""

    passages: tuple[Passage, ...]
    cursor: str = ""
    queries: tuple[str, ...] = ()


# --- answers -------------------------------------------------------------------------------------------------------


class External(Struct, frozen=True):
    """A document that comes with the question. media_type "" means: tell by name and bytes."""

    name: str
    data: bytes
    media_type: str = ""
    location: Location | None = None


class AskRequest(Struct, frozen=True, omit_defaults=True):
    """Either `retrieval` (its query is ignored: the question is it) or `documents` says where the answer may come from.

    prompt: a template with $search_results$, $query$, $conversation_history$ and $output_format_instructions$; "" for
    the built-in one. session: "" begins one. answering "auto" quotes when the model is below the measured bar.
    """

    question: str
    model: str
    retrieval: RetrieveRequest | None = None
    documents: tuple[External, ...] = ()
    prompt: str = ""
    rewriting_prompt: str = ""
    sampling: Sampling = Sampling()
    session: str = ""
    answering: Literal["auto", "generate", "extract"] = "auto"
    guardrail: Json | None = None


class Reference(Struct, frozen=True):
    """What supports a part of an answer: passage.text[start:end] does."""

    passage: Passage
    start: int
    end: int


class Citation(Value, frozen=True, tag="citation"):
    """answer[start:end] (== text) rests on the references. Without any: the part that nothing supports."""

    text: str
    start: int
    end: int
    references: tuple[Reference, ...]


class AnswerText(Value, frozen=True, tag="text"):
    """More of the answer."""

    text: str


class AnswerStarted(Value, frozen=True, tag="started"):
    """The first event, as soon as it is decided how to answer: "generated", "extractive" (quoted from the sources) or
    "abstained" (they hold no answer). model: the one that writes it, "" when none does. retrieved: what there was to
    answer from."""

    session: str
    how: Literal["generated", "extractive", "abstained"]
    model: str = ""
    retrieved: tuple[Passage, ...] = ()


class AnswerEnded(Value, frozen=True, tag="ended"):
    """The last event. guarded: a guardrail stepped in."""

    guarded: bool = False


AnswerEvent = AnswerStarted | AnswerText | Citation | AnswerEnded
"""Order: one AnswerStarted; texts, each citation after the text that it is about; one AnswerEnded."""
