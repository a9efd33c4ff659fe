"""A hub over its own database and blob folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete

from craton.core.repo import Add
from craton.hub import tables
from craton.hub.collaboration import tables as collaboration
from craton.hub.keeping import tables as keeping
from craton.hub.repositories import Hub
from craton.store.blobs.folder import FolderBlobs
from craton.store.database import Database
from craton.store.schema import metadata
from tests.formats.makers import GgufMaker, safetensors

HUB_TABLES = (
    tables.repositories,
    tables.refs,
    tables.revisions,
    tables.objects,
    tables.stored,
    tables.models,
    tables.moved,
    tables.cards,
    tables.tags,
    tables.downloads,
    collaboration.access_requests,
    keeping.usage,
    keeping.quotas,
    keeping.condemned,
)


@pytest.fixture
def hub(database: Database, tmp_path: Path) -> Hub:
    metadata.create_all(database.engine, tables=HUB_TABLES)
    return Hub(database, FolderBlobs(tmp_path / "blobs"), clock=lambda: 1_700_000_000.0)


@pytest.fixture
def local_hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub on SQLite alone, for what does not turn on the database."""
    database = Database.at(tmp_path / "local.db")
    metadata.create_all(database.engine, tables=HUB_TABLES)
    yield Hub(database, FolderBlobs(tmp_path / "local-blobs"), clock=lambda: 1_700_000_000.0)
    database.close()


@pytest.fixture
def empty(hub: Hub) -> Callable[[], None]:
    """Removes every row of the hub: hypothesis runs many examples over one database."""

    def clear() -> None:
        with hub.database.write() as connection:
            for table in HUB_TABLES:
                connection.execute(delete(table))

    return clear


Adder = Callable[[str, str, bytes], Add]


@pytest.fixture
def add(hub: Hub) -> Adder:
    """add(tenant, path, content): stores content and gives the operation that puts it at path."""

    def store(tenant: str, path: str, content: bytes) -> Add:
        file = hub.store(tenant, [content], len(content))
        return Add(path, file.digest, file.size)

    return store


@pytest.fixture
def gguf_maker() -> GgufMaker:
    return GgufMaker()


@pytest.fixture
def make_safetensors() -> Callable[[dict[str, tuple[int, ...]]], bytes]:
    """A float32 file with tensors of these shapes."""
    return safetensors


@pytest.fixture
def bert_folder(tmp_path: Path) -> Path:
    """A tiny BERT as a folder, with a pickle and a script beside it that must stay outside."""
    folder = tmp_path / "tiny-bert"
    (folder / "1_Pooling").mkdir(parents=True)
    config = {"model_type": "bert", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 3}
    config |= {"vocab_size": 20, "max_position_embeddings": 64}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 32}')
    (folder / "1_Pooling" / "config.json").write_text("{}")
    shapes = {"bert.embeddings.word_embeddings.weight": (20, 8), "x": (3,)}
    (folder / "model.safetensors").write_bytes(safetensors(shapes))
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    (folder / "modeling.py").write_text("raise SystemExit")
    return folder
