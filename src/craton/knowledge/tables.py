"""The rows of knowledge bases: the truth from which every index is derived.

A document's chunks belong to a generation; the one that its row names is what anybody sees. A new generation is written
beside the old one, indexed, made the current one in one transaction (it flips), and then the old one is swept.
Pieces are numbered in the order of their commits: what an index has not seen yet is what lies above its mark.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, String, Table, Text

from craton.store.schema import metadata

_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers only INTEGER keys by itself

bases = Table(
    "knowledge_bases",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(10), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("status", String(16), nullable=False),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("value", Text, nullable=False),  # JSON of core.knowledge.KnowledgeBase
    Column("epoch", Integer, nullable=False),  # of its index; counts rebuilds
    Column("indexed", BigInteger, nullable=False),  # pieces up to this number are in the index
    Column("removed", BigInteger, nullable=False),  # removals up to this number have left it
    Column("next_epoch", Integer, nullable=False),  # of the index that a rebuild fills; 0: there is no rebuild
    Column("next_indexed", BigInteger, nullable=False),  # pieces up to this number are in that one
    Index("uq_knowledge_bases_name", "tenant", "name", unique=True),
)

sources = Table(
    "knowledge_sources",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("base", String(10), primary_key=True),
    Column("id", String(10), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("status", String(16), nullable=False),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("value", Text, nullable=False),  # JSON of core.knowledge.DataSource
    Column("cursor", Text),  # where the next listing of an incremental source begins
    Index("uq_knowledge_sources_name", "tenant", "base", "name", unique=True),
)

ingestions = Table(
    "knowledge_ingestions",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("base", String(10), primary_key=True),
    Column("source", String(10), primary_key=True),
    Column("id", String(10), primary_key=True),
    Column("job", String(32), nullable=False),
    Column("started", Float, nullable=False),
    Column("ended", Boolean, nullable=False),
    Column("value", Text, nullable=False),  # JSON of core.knowledge.Ingestion
    Index("ix_knowledge_ingestions_ended", "tenant", "base", "source", "ended"),
)

documents = Table(  # the ledger
    "knowledge_documents",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("base", String(10), nullable=False),
    Column("source", String(10), nullable=False),
    Column("key", Text, nullable=False),
    # sha256 of key, for keys are longer than indexes like; of a document that is being deleted its id: the key is free
    Column("key_digest", String(64), nullable=False),
    Column("status", String(24), nullable=False),
    Column("updated", Float, nullable=False),
    Column("generation", BigInteger, nullable=False),  # 0: nothing to be seen yet
    Column("pending", BigInteger, nullable=False),  # the generation being written; 0: none; -1: others must be swept
    Column("last", BigInteger, nullable=False),  # the number of the pending generation's last piece; 0: not complete
    Column("next", Text, nullable=False),  # JSON of the Document that the pending generation makes of it
    Column("etag", Text, nullable=False),
    Column("metadata_etag", Text, nullable=False),
    Column("digest", String(64), nullable=False),  # sha256 of its bytes
    Column("versions", String(64), nullable=False),  # of parser, chunker, chunking and embedder together
    Column("seen", String(10), nullable=False),  # the ingestion that saw it last
    Column("value", Text, nullable=False),  # JSON of core.knowledge.Document
    Index("uq_knowledge_documents_key", "tenant", "base", "source", "key_digest", unique=True),
    Index("ix_knowledge_documents_base", "tenant", "base", "source", "id"),
    Index("ix_knowledge_documents_pending", "tenant", "base", "pending"),
)

direct = Table(  # documents that callers handed in: the source that ingestion of direct documents reads
    "knowledge_direct",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("tenant", String(64), nullable=False),
    Column("base", String(10), nullable=False),
    Column("source", String(10), nullable=False),
    Column("key_digest", String(64), nullable=False),
    Column("value", Text, nullable=False),  # JSON of data.sources.direct.PendingDocument
    Index("uq_knowledge_direct_key", "tenant", "base", "source", "key_digest", unique=True),
    Index("ix_knowledge_direct_number", "tenant", "base", "source", "number"),
    sqlite_autoincrement=True,
)

chunks = Table(
    "knowledge_chunks",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("tenant", String(64), nullable=False),
    Column("base", String(10), nullable=False),
    Column("document", String(32), nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("page", Integer),
    Column("heading", Text, nullable=False),
    Column("text", Text, nullable=False),
    Index("ix_knowledge_chunks_document", "tenant", "document", "generation"),
    sqlite_autoincrement=True,
)

pieces = Table(
    "knowledge_pieces",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("tenant", String(64), nullable=False),
    Column("base", String(10), nullable=False),
    Column("chunk", BigInteger, nullable=False),
    Column("document", String(32), nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("start", Integer, nullable=False),  # within the chunk's text
    Column("end", Integer, nullable=False),
    Column(
        "embedded", String(64), nullable=False
    ),  # sha256 of the embedder's revision and the text: equal, equal vector
    Column("vector", LargeBinary, nullable=False),  # float16, little-endian
    Index("ix_knowledge_pieces_base", "tenant", "base", "number"),
    Index("ix_knowledge_pieces_chunk", "chunk"),
    Index("ix_knowledge_pieces_document", "tenant", "document", "generation"),
    Index("ix_knowledge_pieces_embedded", "tenant", "embedded"),
    sqlite_autoincrement=True,
)

removals = Table(  # pieces that indexes must forget; swept when they have
    "knowledge_removals",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("tenant", String(64), nullable=False),
    Column("base", String(10), nullable=False),
    Column("piece", BigInteger, nullable=False),
    Index("ix_knowledge_removals_base", "tenant", "base", "number"),
    sqlite_autoincrement=True,
)

tokens = Table(  # idempotency: a caller's token and what its first call made
    "knowledge_tokens",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("operation", String(64), primary_key=True),
    Column("token", String(256), primary_key=True),
    Column("request", String(64), nullable=False),  # digest: the same token with another request is refused
    Column("result", Text, nullable=False),
    Column("created", Float, nullable=False),
)

sessions = Table(  # conversations with documents
    "knowledge_sessions",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(36), primary_key=True),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("value", Text, nullable=False),  # JSON: the turns so far
    Column("closed", Boolean, nullable=False),
)

proficiencies = Table(  # how well a model answers from passages, measured
    "knowledge_proficiencies",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("model", String(512), primary_key=True),
    Column("revision", String(64), primary_key=True),  # "" for a model that has none: it is measured as it is now
    Column("measured", Float, nullable=False),
    Column("value", Text, nullable=False),  # JSON of knowledge.proficiency.Proficiency
)
