"""Knowledge bases where all rows lie in PostgreSQL: the embedded index beside it, or in it as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.knowing import MINILM, PATIENCE, SMOLLM, Aws, keys
from tests.app.registering import Schema, new_schema
from tests.app.test_knowledge_databases_storage import ARN, INDEX, rds_base
from tests.faults.seen import wait_until
from tests.servers import clean_environment, craton, serving

FILES = {
    "keys.md": "# Keys\n\nA key can be rotated at any time: make a new one, and revoke the old one.",
    "backups.md": "# Backups\n\nThe database is backed up every night at two. Backups are kept for thirty days.",
}


@pytest.fixture(scope="module")
def schema(postgres_server: str) -> Iterator[Schema]:
    with new_schema(postgres_server) as made:
        yield made


@pytest.fixture(scope="module")
def aws(schema: Schema, starter_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    home = tmp_path_factory.mktemp("rows") / "home"
    rows = schema.url().replace("postgresql://", "postgresql+psycopg://")
    config = f"""
[server]
database = "{rows}"

[databases.main]
url = "{schema.url()}"
arn = "{ARN}"
indexes = true
"""
    home.mkdir()
    (home / "config.toml").write_text(config)
    craton("models", "pull", "--starters", "--from", str(starter_files), environment=clean_environment(home))
    with serving(home) as server:
        assert not (home / "craton.db").exists()
        yield Aws(server)


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["edge", "rds"])
def test_documents_are_read_found_answered_from_and_deleted(aws: Aws, schema: Schema, storage: str) -> None:
    base = aws.base(MINILM) if storage == "edge" else rds_base(aws, embedder=MINILM)
    source = base.filled(FILES)
    assert bool(schema.tables(INDEX)) == (storage == "rds")
    assert keys(base.retrieve("How can I replace a credential?", top=1)) == ["keys.md"]
    answer = base.ask("How long are backups kept?", SMOLLM)
    assert "thirty days" in answer["output"]["text"]
    (reference, *_) = answer["citations"][0]["retrievedReferences"]
    assert keys([reference]) == ["backups.md"]

    source.put("backups.md", "# Backups\n\nBackups are kept for a hundred years.")
    source.delete("keys.md")
    source.ingest(expect="COMPLETE")
    assert list(source.settled()) == ["backups.md"]
    assert "hundred years" in base.ask("How long are backups kept?", SMOLLM)["output"]["text"]

    aws.agent.delete_knowledge_base(knowledgeBaseId=base.id)
    left = [
        f"SELECT count(*) FROM {table} WHERE base = '{base.id}'"
        for table in ("knowledge_documents", "knowledge_chunks", "knowledge_pieces")
    ]
    wait_until(lambda: [schema.rows(query) for query in left] == [[(0,)]] * 3, PATIENCE)
    wait_until(lambda: not schema.tables(INDEX), PATIENCE)
