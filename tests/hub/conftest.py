"""A hub over its own database and blob folder."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete

from craton.core.repo import Add
from craton.hub import tables
from craton.hub.repositories import Hub
from craton.store.blobs import Blobs
from craton.store.database import Database
from craton.store.schema import metadata

HUB_TABLES = (
    tables.repositories,
    tables.refs,
    tables.revisions,
    tables.objects,
    tables.stored,
    tables.models,
)


@pytest.fixture
def hub(database: Database, tmp_path: Path) -> Hub:
    metadata.create_all(database.engine, tables=HUB_TABLES)
    return Hub(database, Blobs(tmp_path / "blobs"), clock=lambda: 1_700_000_000.0)


@pytest.fixture
def local_hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub on SQLite alone, for what does not turn on the database."""
    database = Database.at(tmp_path / "local.db")
    metadata.create_all(database.engine, tables=HUB_TABLES)
    yield Hub(database, Blobs(tmp_path / "local-blobs"), clock=lambda: 1_700_000_000.0)
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


class GgufMaker:
    """Writes GGUF bytes piece by piece, honest or not."""

    @staticmethod
    def text(value: str | bytes) -> bytes:
        raw = value.encode() if isinstance(value, str) else value
        return struct.pack("<Q", len(raw)) + raw

    def entry(self, key: str, kind: int, payload: bytes) -> bytes:
        return self.text(key) + struct.pack("<I", kind) + payload

    def string(self, key: str, value: str) -> bytes:
        return self.entry(key, 8, self.text(value))

    def number(self, key: str, value: int) -> bytes:
        return self.entry(key, 4, struct.pack("<I", value))

    def strings(self, key: str, values: list[str]) -> bytes:
        body = struct.pack("<IQ", 8, len(values)) + b"".join(self.text(value) for value in values)
        return self.entry(key, 9, body)

    def tensor(self, name: str, shape: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
        return self.text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape) + struct.pack("<IQ", kind, offset)

    @staticmethod
    def file(entries: list[bytes], tensors: list[bytes], data: bytes, version: int = 3) -> bytes:
        header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries)) + b"".join(entries + tensors)
        return header + b"\0" * (-len(header) % 32) + data

    def model(self, **changes: bytes) -> bytes:
        """A tiny Llama with a chat template. changes: an entry in the place of the one with that name."""
        entries = {
            "architecture": self.string("general.architecture", "llama"),
            "name": self.string("general.name", "Tiny"),
            "file_type": self.number("general.file_type", 2),
            "context": self.number("llama.context_length", 128),
            "blocks": self.number("llama.block_count", 2),
            "width": self.number("llama.embedding_length", 64),
            "heads": self.number("llama.attention.head_count", 4),
            "kv": self.number("llama.attention.head_count_kv", 2),
            "tokens": self.strings("tokenizer.ggml.tokens", [f"token {number}" for number in range(1500)]),
            "template": self.string("tokenizer.chat_template", "{{ messages }}"),
        } | changes
        tensors = [self.tensor("token_embd.weight", (64, 10), 2, 0), self.tensor("norm.weight", (64,), 0, 384)]
        return self.file(list(entries.values()), tensors, b"\0" * (384 + 256))


@pytest.fixture
def gguf_maker() -> GgufMaker:
    return GgufMaker()


def _safetensors(tensors: dict[str, tuple[int, ...]]) -> bytes:
    header, end = {}, 0
    for name, shape in tensors.items():
        size = 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + b"\0" * end


@pytest.fixture
def make_safetensors() -> Callable[[dict[str, tuple[int, ...]]], bytes]:
    """A float32 file with tensors of these shapes."""
    return _safetensors


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
    (folder / "model.safetensors").write_bytes(_safetensors(shapes))
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    (folder / "modeling.py").write_text("raise SystemExit")
    return folder
