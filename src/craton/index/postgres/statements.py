"""The SQL of one index. Its tables' names come from digests, so they may stand in the text.

points    a row for each piece, with an HNSW graph over its vectors (float16, cosine)
postings  (term, point) -> weight of BM25 without rarity; how rare a term is, is counted when it is asked for, so that
          deletions leave nothing wrong behind
fields    the metadata (see `filters`)
"""

from __future__ import annotations

import hashlib

from craton.index.postgres.filters import HEAD, Clause

REGISTRY = "craton_indexes"
MAX_GRAPH_DIMENSIONS = 4_000  # of pgvector's HNSW over halfvec; more are searched exactly
MAX_EF = 1_000  # pgvector's bound
MIN_EF = 128
SCANNED = 100_000  # rows that a filtered search may look at in the graph before everything is looked at

MAKE_REGISTRY = f"""
CREATE TABLE IF NOT EXISTS {REGISTRY} (
    tenant bytea, name text, dimensions integer NOT NULL, points bigint NOT NULL, PRIMARY KEY (tenant, name)
)"""


class Statements:
    def __init__(self, tenant: str, name: str, dimensions: int) -> None:
        base = f"craton_index_{hashlib.sha256(f'{len(tenant)}:{tenant}{name}'.encode()).hexdigest()[:24]}"
        self.points, self.postings, self.fields = f"{base}_points", f"{base}_postings", f"{base}_fields"
        self.dimensions = dimensions

    @property
    def tables(self) -> tuple[str, str, str]:
        return self.points, self.postings, self.fields

    def make(self) -> list[str]:
        made = [
            f"CREATE TABLE {self.points} (id bigint PRIMARY KEY, tenant bytea NOT NULL, "
            f"allow bytea[] NOT NULL, deny bytea[] NOT NULL, "
            f"vector halfvec({self.dimensions}) NOT NULL)",
            f"CREATE TABLE {self.postings} (term bigint, id bigint, weight real NOT NULL, PRIMARY KEY (term, id))",
            f"CREATE INDEX ON {self.postings} (id)",
            f"CREATE TABLE {self.fields} "
            "(id bigint NOT NULL, key bytea NOT NULL, sort text NOT NULL, value bytea NOT NULL)",
            f"CREATE INDEX ON {self.fields} (id, key)",
            f"CREATE INDEX ON {self.fields} (key, sort, substring(value FOR {HEAD}))",
        ]
        if self.dimensions <= MAX_GRAPH_DIMENSIONS:
            made.append(f"CREATE INDEX ON {self.points} USING hnsw (vector halfvec_cosine_ops)")
        return made

    def upsert_points(self) -> str:
        """Parameters: arrays of each column, lists of users as text (arrays of arrays would need one length)."""
        return f"""
        INSERT INTO {self.points} (id, tenant, allow, deny, vector)
        VALUES (%s, %s, %s, %s, %s::halfvec)
        ON CONFLICT (id) DO UPDATE SET (tenant, allow, deny, vector) = (
            excluded.tenant, excluded.allow, excluded.deny, excluded.vector
        )"""

    def insert_postings(self) -> str:
        return f"""
        INSERT INTO {self.postings} (term, id, weight)
        SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::real[])"""

    def insert_fields(self) -> str:
        return f"""
        INSERT INTO {self.fields} (id, key, sort, value)
        SELECT * FROM unnest(%s::bigint[], %s::bytea[], %s::text[], %s::bytea[])"""

    def delete(self, table: str) -> str:
        return f"DELETE FROM {table} WHERE id = ANY (%s)"

    def nearest(self, walls: Clause, vector: str, limit: int, everywhere: bool) -> Clause:
        """everywhere: without the graph, which may miss what a narrow filter lets through."""
        order = "(p.vector <=> %s::halfvec)" + (" + 0" if everywhere else "")
        return (
            f"SELECT p.id, 1 - (p.vector <=> %s::halfvec) FROM {self.points} p "
            f"WHERE {walls[0]} ORDER BY {order} LIMIT %s",
            [vector, *walls[1], vector, limit],
        )

    def lexical(self, walls: Clause, terms: list[int], points: int, limit: int) -> Clause:
        return (
            f"""
        WITH rarity AS (
            SELECT term, ln(1 + greatest(%s - count(*) + 0.5, 0.5) / (count(*) + 0.5)) AS idf
            FROM {self.postings} WHERE term = ANY (%s) GROUP BY term
        ), scored AS (
            SELECT id, sum(weight * idf) AS score FROM {self.postings} JOIN rarity USING (term) GROUP BY id
        )
        SELECT p.id, s.score FROM scored s JOIN {self.points} p USING (id)
        WHERE {walls[0]} ORDER BY s.score DESC, p.id LIMIT %s""",
            [points, terms, *walls[1], limit],
        )
