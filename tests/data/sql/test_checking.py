"""SQL that a model wrote is hostile until it is understood whole."""

from __future__ import annotations

import re

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from craton.core.errors import InvalidRequest, TooLarge
from craton.data.sql.checking import MAX_SQL, check
from craton.data.sql.words import Checked, Readable

READABLE = (
    Readable("public", "customers"),
    Readable("public", "orders"),
    Readable("hr", "staff", ("id", "name")),
)

_ALLOWED = """
SELECT count(*) FROM orders o LEFT JOIN customers c ON c.id = o.customer_id WHERE o.a BETWEEN 1 AND 2 GROUP BY 1
SELECT extract(year FROM d), date_trunc('month', d), d::date, to_char(d, 'YYYY'), d AT TIME ZONE 'utc' FROM orders
SELECT substring(a FROM 1 FOR 2), position('a' IN b), string_agg(x, ', ' ORDER BY y), count(DISTINCT x) FROM orders
SELECT count(*) FILTER (WHERE x > 1), row_number() OVER (PARTITION BY a ORDER BY b) FROM orders
SELECT sum(x) OVER (ORDER BY b ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM orders
SELECT DISTINCT ON (a) b FROM orders WHERE x LIKE 'a%' OR y ILIKE '%b' OR z IN (1, 2) OR w IS NOT NULL
SELECT city FROM customers UNION ALL SELECT item FROM orders ORDER BY 1
WITH big AS (SELECT * FROM orders), bigger AS (SELECT * FROM big) SELECT * FROM bigger JOIN customers ON true
(SELECT 1 FROM orders)
SELECT name FROM Customers FETCH FIRST 3 ROWS ONLY
SELECT x FROM orders WHERE d > now() - interval '3 months' AND e >= DATE '2024-01-01'
SELECT sum(total)::numeric(10, 2), CAST(a AS varchar(20)), CASE WHEN a THEN 1 ELSE 2 END FROM orders
SELECT name FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total), round(avg(x), 2), coalesce(max(y), 0) FROM orders
SELECT a || ' ' || b, lower(a), upper(b), trim(a), length(a), greatest(x, y), abs(z), x % 2, -x FROM orders
SELECT 1 FROM orders; -- done
"""
_REFUSED = """
SELECT 1; SELECT 2
DELETE FROM orders
INSERT INTO orders VALUES (1)
UPDATE orders SET a = 1
TRUNCATE orders
DROP TABLE orders
CREATE TABLE x AS SELECT 1
WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d
WITH d AS (INSERT INTO orders VALUES (1) RETURNING *) SELECT * FROM d
SELECT * INTO x FROM orders
SELECT * FROM orders FOR UPDATE
SELECT * FROM orders FOR SHARE
SELECT pg_sleep(10)
SELECT pg_read_file('/etc/passwd')
SELECT pg_ls_dir('/')
SELECT lo_import('/etc/passwd')
SELECT lo_export(1, '/tmp/x')
SELECT dblink('host=x', 'SELECT 1')
SELECT * FROM dblink('host=x', 'SELECT 1') AS t(a int)
SELECT query_to_xml('SELECT 1', true, true, '')
SELECT database_to_xml(true, true, '')
SELECT current_setting('x')
SELECT set_config('a', 'b', true)
SELECT pg_terminate_backend(1)
SELECT pg_advisory_lock(1)
SELECT nextval('x')
SELECT version()
SELECT current_user
SELECT session_user
SELECT inet_server_addr()
SELECT * FROM pg_catalog.pg_shadow
SELECT * FROM pg_shadow
SELECT * FROM information_schema.tables
SELECT * FROM other.orders
SELECT * FROM db.public.orders
WITH secret AS (SELECT * FROM secret) SELECT * FROM secret
WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a
SELECT * FROM secrets WHERE EXISTS (WITH secrets AS (SELECT 1) SELECT 1)
SELECT * FROM (WITH secrets AS (SELECT 1) SELECT 1) x, secrets
WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT * FROM r) SELECT * FROM r
SELECT * FROM generate_series(1, 100000000)
SELECT generate_series(1, 100000000)
SELECT unnest(ARRAY[1])
SELECT repeat('x', 1000000000)
SELECT lpad('x', 1000000000)
SELECT power(9, 99999)
SELECT 2 ^ 10
SELECT 'pg_shadow'::regclass
SELECT '<a/>'::xml
SELECT 'x'::char(10000000)
SELECT public.evil(1)
SELECT "public".evil(1)
SELECT "pg_sleep"(10)
SELECT (orders).evil FROM orders
SELECT * FROM orders, LATERAL (SELECT 1) x
SELECT * FROM orders TABLESAMPLE SYSTEM (1)
SELECT * FROM ROWS FROM (f())
SELECT * FROM ONLY orders
SELECT * FROM orders LIMIT (SELECT 1)
SELECT * FROM orders LIMIT ALL
SELECT * FROM orders FETCH FIRST 3 ROWS WITH TIES
SELECT * FROM orders FETCH FIRST 3 PERCENT ROWS ONLY
SELECT x ~ '(a+)+$' FROM orders
SELECT xmlparse(document 'x')
SELECT e'\\x41'
SELECT U&'\\0041'
SELECT a ->> 'b' FROM orders
SELECT array_agg(x) FROM orders
COPY orders TO PROGRAM 'x'
COPY (SELECT 1) TO '/tmp/x'
EXPLAIN ANALYZE SELECT 1
DO $$ BEGIN END $$
CALL f()
SET ROLE postgres
RESET ROLE
PREPARE x AS SELECT 1
EXECUTE x
LISTEN x
VACUUM
BEGIN
VALUES (1)
SELECT $1
not SQL at all

;
"""
ALLOWED, REFUSED = (text.split("\n")[1:-1] for text in (_ALLOWED, _REFUSED))


def checked(sql: str, limit: int = 100) -> Checked:
    return check(sql, READABLE, limit)


@pytest.mark.parametrize("sql", ALLOWED)
def test_what_questions_need_is_allowed(sql: str) -> None:
    found = checked(sql)
    assert check(found.shown, READABLE, 100).sql == found.sql
    assert set(found.tables) <= {"public.customers", "public.orders"}


@pytest.mark.parametrize("sql", REFUSED)
def test_everything_else_is_refused_with_a_reason(sql: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        checked(sql)
    assert refused.value.reason.startswith("the query may not run: ")


def test_what_runs_is_written_anew_with_every_name_quoted_and_no_comment() -> None:
    found = checked("select /* ; drop table x */ Name, \"Odd\" -- '\n from Customers c where c.city = 'O''Neil; --'")
    assert found.sql == (
        'SELECT "name", "Odd" FROM "public"."customers" AS "c" WHERE "c"."city" = \'O\'\'Neil; --\' LIMIT 100'
    )


@pytest.mark.parametrize(
    ("sql", "limit"),
    [
        ("SELECT 1 FROM orders", 100),
        ("SELECT 1 FROM orders LIMIT 5", 5),
        ("SELECT 1 FROM orders LIMIT 500", 100),
        ("SELECT 1 FROM orders FETCH FIRST 7 ROWS ONLY", 7),
        ("SELECT 1 FROM orders OFFSET 20", 100),
        ("SELECT 1 FROM orders UNION SELECT 2 FROM orders", 100),
        ("(SELECT 1 FROM orders LIMIT 1000)", 100),
    ],
)
def test_there_is_always_a_limit(sql: str, limit: int) -> None:
    assert re.search(rf"LIMIT {limit}( OFFSET 20)?$", checked(sql).sql)


def test_hidden_columns_are_not_there_in_whatever_form_they_are_asked_for() -> None:
    for sql in ("SELECT * FROM hr.staff", "SELECT s FROM hr.staff s", "SELECT salary FROM hr.staff"):
        found = checked(sql)
        assert '(SELECT "id", "name" FROM "hr"."staff")' in found.sql
        assert '"hr"."staff" AS' in found.shown


def test_a_name_of_with_hides_no_table_before_it_is_defined() -> None:
    found = checked("WITH orders AS (SELECT * FROM orders) SELECT * FROM orders, public.orders p")
    assert found.sql == (
        'WITH "orders" AS (SELECT * FROM "public"."orders" AS "orders") '
        'SELECT * FROM "orders", "public"."orders" AS "p" LIMIT 100'
    )


def test_what_is_too_large_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(TooLarge):
        checked("SELECT " + "1, " * MAX_SQL + "1")
    with pytest.raises(TooLarge):
        checked("SELECT 1 FROM " + ", ".join(f"orders o{n}" for n in range(17)))
    for deep in ("(" * 300 + "SELECT 1" + ")" * 300, "SELECT " + "NOT " * 2400 + "true", "SELECT " + "-" * 4000 + "1"):
        with pytest.raises(InvalidRequest):
            checked(deep)


_WORDS = """
SELECT FROM WHERE WITH AS UNION ALL ( ) , ; * . 'a' "b" 1 orders customers secrets pg_shadow hr . staff c ON JOIN LEFT
LATERAL INTO FOR UPDATE pg_sleep ( 1 ) lower ( x ) :: regclass text INSERT DELETE RETURNING VALUES LIMIT OFFSET GROUP BY
ORDER HAVING EXISTS IN NOT NULL -- /* */ $$ e'\\n' RECURSIVE ONLY TABLE EXECUTE
"""
TOKENS = st.sampled_from(_WORDS.split())


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(TOKENS, max_size=30).map(" ".join)))
def test_whatever_comes_only_selects_of_allowed_tables_pass(sql: str) -> None:
    try:
        found = checked(sql)
    except (InvalidRequest, TooLarge):
        return
    (statement,) = sqlglot.parse(found.sql, read="postgres")
    assert isinstance(statement, sqlglot.exp.Query)
    assert set(found.tables) <= {"public.customers", "public.orders", "hr.staff"}
    assert not re.search(r"secrets\"|pg_|regclass|DELETE|INSERT", re.sub(r"'[^']*'", "", found.sql)) or '"' in sql
