"""A small shop in a real PostgreSQL, and a role that may only read a part of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy
from msgspec import Struct

from craton.data.sql.words import Readable, Registered

SHOP = """
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, city text, card text);
COMMENT ON TABLE customers IS 'people who bought something';
COMMENT ON COLUMN customers.city IS 'where they live';
CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers (id), total numeric, placed date);
CREATE TABLE secrets (id int, word text);
INSERT INTO customers VALUES (1, 'Ada', 'Oslo', '4111'), (2, 'Bo', 'Rome', '4222'), (3, 'Cy', 'Oslo', '4333');
INSERT INTO orders VALUES (1, 1, 10.50, '2024-01-05'), (2, 1, 20, '2024-02-05'),
    (3, 2, 12345678901234567890.12, '2024-02-06');
INSERT INTO secrets VALUES (1, 'xyzzy');
"""


class Shop(Struct, frozen=True):
    """registered: with the role that may read customers and orders. owner: as the superuser. schema: where it is."""

    registered: Registered
    owner: Registered
    schema: str
    readable: tuple[Readable, ...]
    url: str


@pytest.fixture
def shop(postgres_url: str) -> Iterator[Shop]:
    url = sqlalchemy.make_url(postgres_url)
    schema = str(url.query["options"]).rpartition("=")[2]
    plain = url.set(drivername="postgresql", query={k: v for k, v in url.query.items() if k != "options"})
    role = f"reader_{uuid.uuid4().hex[:12]}"
    engine = sqlalchemy.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in SHOP.strip().split(";\n"):
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"CREATE ROLE {role} NOLOGIN")
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        connection.exec_driver_sql(f"GRANT SELECT ON customers, orders TO {role}")
    address = plain.render_as_string(hide_password=False)
    yield Shop(
        Registered("shop", address, role, 60.0),
        Registered("shop", address, seconds=60.0),
        schema,
        (Readable(schema, "customers", ("id", "name", "city")), Readable(schema, "orders")),
        postgres_url,
    )
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {role}")
        connection.exec_driver_sql(f"DROP ROLE {role}")
    engine.dispose()
