"""Knowledge bases of the type SQL: Redshift's configuration, read as that of a registered PostgreSQL.

The engine's ARN (or the cluster's identifier) is the name by which the operator registered the database; tables are
"schema.table", or "database.schema.table" as Redshift spells them.
"""

from __future__ import annotations

from craton.core.chat import Json
from craton.core.errors import InvalidRequest, Unsupported
from craton.wire.aws.handling import refuse_members


def read_structured(configuration: Json) -> Json:
    """`KnowledgeBase.storage` for it (`knowledge.structured.options`). Raises InvalidRequest, Unsupported."""
    redshift = configuration.get("sqlKnowledgeBaseConfiguration", {}).get("redshiftConfiguration")
    if redshift is None:
        raise InvalidRequest("a knowledge base of type SQL needs it", "sqlKnowledgeBaseConfiguration")
    if any(storage["type"] != "REDSHIFT" for storage in redshift["storageConfigurations"]):
        raise Unsupported("A data catalogue as the storage of a SQL knowledge base", "Use REDSHIFT.")
    generation = redshift.get("queryGenerationConfiguration", {})
    refuse_members(
        generation,
        ["executionTimeoutSeconds"],
        "queryGenerationConfiguration",
        "The operator sets it: [databases.NAME].",
    )
    return {
        "register": _engine(redshift["queryEngineConfiguration"]),
        "structured": _read_context(generation.get("generationContext", {})),
    }


def _engine(engine: Json) -> str:
    """What names the database. How Redshift would let Craton in (IAM, secrets) does not matter here."""
    name: str = (
        engine.get("serverlessConfiguration", {}).get("workgroupArn")
        or engine.get("provisionedConfiguration", {}).get("clusterIdentifier")
        or ""
    )
    if not name:
        raise InvalidRequest("names neither a workgroup nor a cluster", "queryEngineConfiguration")
    return name


def _read_context(context: Json) -> Json:
    """A table that is only described restricts nothing."""
    tables: list[str] = []
    hidden: list[str] = []
    descriptions: dict[str, str] = {}
    for table in context.get("tables", []):
        name = _name(table["name"])
        if inclusion := table.get("inclusion"):
            (hidden if inclusion == "EXCLUDE" else tables).append(name)
        if table.get("description"):
            descriptions[name] = table["description"]
        for column in table.get("columns", []):
            full = f"{name}.{column.get('name', '')}"
            if column.get("inclusion") == "EXCLUDE":
                hidden.append(full)
            if column.get("description"):
                descriptions[full] = column["description"]
    curated = [{"question": one["naturalLanguage"], "sql": one["sql"]} for one in context.get("curatedQueries", [])]
    given = {"tables": tables, "hidden": hidden, "descriptions": descriptions, "curated": curated}
    schemas = sorted({name.partition(".")[0] for name in (*tables, *hidden, *descriptions)})
    return {name: value for name, value in {**given, "schemas": schemas}.items() if value}


def _name(table: str) -> str:
    """schema.table, whether the database stands before it or not."""
    parts = table.split(".")
    if len(parts) not in {2, 3} or not all(parts):
        raise InvalidRequest(f"{table!r} is not schema.table", "generationContext.tables")
    return ".".join(parts[-2:])
