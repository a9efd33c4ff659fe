"""The probe: a small shop, and twenty questions with the SQL that answers them."""

from __future__ import annotations

from msgspec import Struct

from craton.data.sql.words import Column, ForeignKey, Readable, TableInfo

VERSION = "1"
SCHEMA = "probe"


class Question(Struct, frozen=True):
    """ordered: the question asks for an order."""

    question: str
    sql: str
    ordered: bool = False


TABLES = (
    TableInfo(
        SCHEMA,
        "customers",
        (
            Column("id", "integer"),
            Column("name", "text", samples=("Ada", "Bo", "Cy")),
            Column("city", "text", samples=("Oslo", "Rome", "Lima")),
            Column("joined", "date"),
        ),
        key=("id",),
    ),
    TableInfo(
        SCHEMA,
        "products",
        (
            Column("id", "integer"),
            Column("title", "text", samples=("Kettle", "Lamp", "Chair")),
            Column("category", "text", samples=("kitchen", "living")),
            Column("price", "numeric", "in euros"),
        ),
        key=("id",),
    ),
    TableInfo(
        SCHEMA,
        "orders",
        (
            Column("id", "integer"),
            Column("customer_id", "integer"),
            Column("placed", "date"),
            Column("status", "text", samples=("sent", "open", "returned")),
        ),
        key=("id",),
        foreign_keys=(ForeignKey(("customer_id",), SCHEMA, "customers", ("id",)),),
    ),
    TableInfo(
        SCHEMA,
        "order_lines",
        (Column("order_id", "integer"), Column("product_id", "integer"), Column("quantity", "integer")),
        key=("order_id", "product_id"),
        foreign_keys=(
            ForeignKey(("order_id",), SCHEMA, "orders", ("id",)),
            ForeignKey(("product_id",), SCHEMA, "products", ("id",)),
        ),
    ),
)

READABLE = (
    Readable(
        SCHEMA,
        "customers",
        stand_in="""SELECT * FROM (VALUES (1, 'Ada', 'Oslo', DATE '2023-01-15'), (2, 'Bo', 'Rome', DATE '2023-03-02'),
            (3, 'Cy', 'Oslo', DATE '2023-11-20'), (4, 'Dee', 'Lima', DATE '2024-02-11'),
            (5, 'Eli', 'Rome', DATE '2024-05-30'), (6, 'Fay', 'Oslo', DATE '2023-06-01'))
            AS v(id, name, city, joined)""",
    ),
    Readable(
        SCHEMA,
        "products",
        stand_in="""SELECT * FROM (VALUES (1, 'Kettle', 'kitchen', 39.90), (2, 'Pan', 'kitchen', 54.50),
            (3, 'Lamp', 'living', 25.00), (4, 'Chair', 'living', 120.00), (5, 'Rug', 'living', 89.00),
            (6, 'Fork', 'kitchen', 4.20)) AS v(id, title, category, price)""",
    ),
    Readable(
        SCHEMA,
        "orders",
        stand_in="""SELECT * FROM (VALUES (1, 1, DATE '2024-01-03', 'sent'), (2, 1, DATE '2024-02-14', 'sent'),
            (3, 2, DATE '2024-02-20', 'returned'), (4, 3, DATE '2024-03-08', 'sent'), (5, 4, DATE '2024-03-09', 'open'),
            (6, 1, DATE '2024-05-17', 'open'), (7, 5, DATE '2024-06-21', 'sent'))
            AS v(id, customer_id, placed, status)""",
    ),
    Readable(
        SCHEMA,
        "order_lines",
        stand_in="""SELECT * FROM (VALUES (1, 1, 1), (1, 3, 2), (2, 4, 4), (3, 2, 1), (4, 5, 1), (4, 6, 12), (5, 3, 1),
            (6, 1, 2), (7, 4, 1), (7, 5, 1)) AS v(order_id, product_id, quantity)""",
    ),
)

QUESTIONS = (
    Question("How many customers are there?", "SELECT count(*) FROM customers"),
    Question("What are the names of the customers from Oslo?", "SELECT name FROM customers WHERE city = 'Oslo'"),
    Question("What does the lamp cost?", "SELECT price FROM products WHERE title = 'Lamp'"),
    Question(
        "List the titles of all products from the most expensive to the cheapest.",
        "SELECT title FROM products ORDER BY price DESC",
        ordered=True,
    ),
    Question("Which category does the rug belong to?", "SELECT category FROM products WHERE title = 'Rug'"),
    Question(
        "How many customers live in each city? Give the city and the number.",
        "SELECT city, count(*) FROM customers GROUP BY city",
    ),
    Question(
        "What is the average price of kitchen products?", "SELECT avg(price) FROM products WHERE category = 'kitchen'"
    ),
    Question(
        "How many orders were placed in February 2024?",
        "SELECT count(*) FROM orders WHERE placed >= '2024-02-01' AND placed < '2024-03-01'",
    ),
    Question("Who joined last? Give the name.", "SELECT name FROM customers ORDER BY joined DESC LIMIT 1"),
    Question(
        "Which customers have placed no order? Give their names.",
        "SELECT name FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)",
    ),
    Question(
        "How many orders has each customer placed? Give name and number, only for customers with orders.",
        "SELECT c.name, count(*) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.name",
    ),
    Question(
        "What is the total value of order 1?",
        "SELECT sum(l.quantity * p.price) FROM order_lines l JOIN products p ON p.id = l.product_id "
        "WHERE l.order_id = 1",
    ),
    Question(
        "Give the titles of the products that were ordered by Ada, each once.",
        "SELECT DISTINCT p.title FROM customers c JOIN orders o ON o.customer_id = c.id "
        "JOIN order_lines l ON l.order_id = o.id JOIN products p ON p.id = l.product_id WHERE c.name = 'Ada'",
    ),
    Question(
        "Which customers have placed more than two orders? Give their names.",
        "SELECT c.name FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.name HAVING count(*) > 2",
    ),
    Question(
        "How many orders have each status? Give status and number.",
        "SELECT status, count(*) FROM orders GROUP BY status",
    ),
    Question(
        "What is the title of the product of which the most pieces were ordered?",
        "SELECT p.title FROM order_lines l JOIN products p ON p.id = l.product_id GROUP BY p.title "
        "ORDER BY sum(l.quantity) DESC LIMIT 1",
    ),
    Question(
        "Which products cost more than the average product? Give their titles.",
        "SELECT title FROM products WHERE price > (SELECT avg(price) FROM products)",
    ),
    Question(
        "How much money came in with orders that were sent? Give one number.",
        "SELECT sum(l.quantity * p.price) FROM orders o JOIN order_lines l ON l.order_id = o.id "
        "JOIN products p ON p.id = l.product_id WHERE o.status = 'sent'",
    ),
    Question(
        "In which year did the most customers join?",
        "SELECT extract(year FROM joined) FROM customers GROUP BY 1 ORDER BY count(*) DESC LIMIT 1",
    ),
    Question(
        "Give the name of every customer and the date of their latest order, also of customers without orders.",
        "SELECT c.name, max(o.placed) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.name",
    ),
)
