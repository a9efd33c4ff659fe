"""What dialects and the command line need of knowledge bases, and what the parts of it need of each other.

Who may do what was decided by the route's policy; the tenant in every call is the wall. What belongs to another tenant
is NotFound, as what never was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from msgspec import Struct

from craton.core.chat import Json
from craton.core.knowledge import Access as DocumentAccess
from craton.core.knowledge import (
    AnswerEvent,
    AskRequest,
    Chunking,
    DataSource,
    Document,
    External,
    Ingestion,
    KnowledgeBase,
    Metadata,
    Retrieved,
    RetrieveRequest,
    SourceSpec,
)
from craton.serve.inference import Call


class NewKnowledgeBase(Struct, frozen=True, omit_defaults=True):
    """embedder: any name that `serve` resolves; it is pinned to that model's revision. storage names the index: "edge",
    "qdrant" or "postgres", with the name under which the operator registered a server ("" for the only one)."""

    name: str
    embedder: str
    description: str = ""
    dimensions: int | None = None
    index: str = "edge"
    storage: Json = {}
    extra: Json = {}
    kind: str = "vector"


class NewDataSource(Struct, frozen=True, omit_defaults=True):
    name: str
    spec: SourceSpec
    chunking: Chunking = Chunking()
    description: str = ""
    keep_on_delete: bool = False
    extra: Json = {}


class DirectDocument(Struct, frozen=True, omit_defaults=True):
    """A document that a caller hands in. key: the caller's id, or an s3:// address to read it from (content None)."""

    key: str
    content: External | None = None
    metadata: Metadata = {}
    access: DocumentAccess = DocumentAccess()


class Page(Struct, frozen=True):
    """Where a listing goes on. cursor: opaque to callers' callers, "" for the beginning."""

    size: int = 100
    cursor: str = ""


class Bases(Protocol):
    """`craton.knowledge.bases`. token: two calls with the same non-empty one are one call, answered alike.

    Listings are sorted by creation and give what was asked for and the cursor of the next page ("" at the end).
    Raises NotFound, Conflict (a taken name), InvalidRequest, Unsupported.
    """

    async def create(self, tenant: str, new: NewKnowledgeBase, token: str = "") -> KnowledgeBase: ...

    async def get(self, tenant: str, base: str) -> KnowledgeBase:
        """base: id or name."""
        ...

    async def list(self, tenant: str, page: Page) -> tuple[list[KnowledgeBase], str]: ...

    async def update(self, tenant: str, base: str, new: NewKnowledgeBase) -> KnowledgeBase:
        """Name, description and extra; what the vectors rest on cannot change (Conflict says to make another one)."""
        ...

    async def delete(self, tenant: str, base: str) -> KnowledgeBase:
        """Marks it deleted at once; rows and index go after it in the background."""
        ...

    async def reindex(self, tenant: str, base: str) -> str:
        """Builds the index again from the truth, while the old one goes on answering. The job's id."""
        ...


class Sources(Protocol):
    """`craton.knowledge.sources`."""

    async def create(self, tenant: str, base: str, new: NewDataSource, token: str = "") -> DataSource: ...

    async def get(self, tenant: str, base: str, source: str) -> DataSource: ...

    async def list(self, tenant: str, base: str, page: Page) -> tuple[list[DataSource], str]: ...

    async def update(self, tenant: str, base: str, source: str, new: NewDataSource) -> DataSource:
        """Chunking cannot change (as on Bedrock)."""
        ...

    async def delete(self, tenant: str, base: str, source: str) -> DataSource:
        """Its documents go too, unless keep_on_delete."""
        ...


class Ingestions(Protocol):
    """`craton.knowledge.ingestions`: runs over a source, each a job."""

    async def start(
        self,
        tenant: str,
        base: str,
        source: str,
        *,
        description: str = "",
        token: str = "",
        confirm_shrinking: bool = False,
    ) -> Ingestion:
        """Raises Conflict while one is under way. confirm_shrinking: let a source that lost most of its documents
        have its way."""
        ...

    async def get(self, tenant: str, base: str, source: str, ingestion: str) -> Ingestion: ...

    async def list(self, tenant: str, base: str, source: str, page: Page) -> tuple[list[Ingestion], str]: ...

    async def stop(self, tenant: str, base: str, source: str, ingestion: str) -> Ingestion: ...


class Documents(Protocol):
    """`craton.knowledge.documents`: the ledger, and documents handed in directly (a job indexes them; they are pending
    until then)."""

    async def ingest(
        self, tenant: str, base: str, source: str, documents: Sequence[DirectDocument], token: str = ""
    ) -> list[Document]: ...

    async def get(self, tenant: str, base: str, source: str, keys: Sequence[str]) -> list[Document | None]:
        """None for a key that is not there. A document of a bucket has an s3:// address that is as good as its key."""
        ...

    async def delete(
        self, tenant: str, base: str, source: str, keys: Sequence[str], token: str = ""
    ) -> list[Document | None]: ...

    async def text(self, tenant: str, base: str, document: str, user: str = "") -> tuple[Document, str]:
        """By the document's id: its row and its parsed text. NotFound when the user may not see it."""
        ...

    async def find(self, tenant: str, base: str, source: str, document: str) -> Document:
        """By the document's id, whoever may see it: for those who look after the access lists."""
        ...

    async def list(self, tenant: str, base: str, source: str, page: Page) -> tuple[list[Document], str]: ...


class Retrieving(Protocol):
    """`craton.knowledge.retrieval`."""

    async def retrieve(self, call: Call, request: RetrieveRequest) -> Retrieved:
        """Raises NotFound, InvalidRequest (a bad filter or cursor), Conflict (the embedder changed: reindex)."""
        ...


class Scored(Struct, frozen=True):
    """index: of the text in what was asked. score: 0 to 1."""

    index: int
    score: float


class Ranking(Protocol):
    """`craton.knowledge.reranking`: a real scorer over given texts."""

    async def rank(self, call: Call, model: str, query: str, texts: Sequence[str], top: int | None) -> list[Scored]:
        """Best first. Raises NotFound, Unsupported (a model that cannot score), TooLarge."""
        ...


class Answering(Protocol):
    """`craton.knowledge.answering`."""

    def ask(self, call: Call, request: AskRequest) -> AsyncIterator[AnswerEvent]:
        """Closing the iterator cancels the work."""
        ...


class GeneratedQuery(Protocol):
    """sql: checked, as people and other tools may run it. model: the one that wrote it."""

    @property
    def sql(self) -> str: ...

    @property
    def model(self) -> str: ...


class Querying(Protocol):
    """`craton.knowledge.structured`: language to SQL."""

    async def generate(self, call: Call, base: KnowledgeBase, question: str) -> GeneratedQuery:
        """Nothing of the question runs. Raises NotFound, InvalidRequest (no allowed query came of it), SourceFailed,
        Unsupported (no model that passed the check, or a knowledge base of documents)."""
        ...


class Measuring(Protocol):
    """`craton.knowledge.measuring`: which models may write answers, and which may write SQL."""

    async def documents(self, call: Call, model: str, tenant: str, progress: Callable[[int, int], None]) -> Json:
        """Asks the model every question of the built-in probe and keeps the figures for this tenant (SHARED_TENANT:
        for everybody), which are the result. progress: (asked, in all)."""
        ...

    async def queries(
        self, call: Call, model: str, database: str, tenant: str, progress: Callable[[int, int], None]
    ) -> Json:
        """Likewise for SQL, on a registered database, in which nothing is written."""
        ...


class Knowledge(Struct, frozen=True):
    """Everything about knowledge bases, as the composition root puts it together."""

    bases: Bases
    sources: Sources
    ingestions: Ingestions
    documents: Documents
    retrieving: Retrieving
    ranking: Ranking
    answering: Answering
    querying: Querying
    measuring: Measuring
