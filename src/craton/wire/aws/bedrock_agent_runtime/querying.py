"""GenerateQuery."""

from __future__ import annotations

from craton.core.chat import Json
from craton.core.errors import InvalidRequest
from craton.knowledge.protocol import Bases, Querying
from craton.wire.aws.handling import Handle, call_of
from craton.wire.aws.names import knowledge_base_id
from craton.wire.aws.service import Operation
from craton.wire.http import Reply, Request

WRITTEN_BY = "x-craton-model"


class QueryOperations:
    """Handlers by operation name."""

    def __init__(self, querying: Querying, bases: Bases) -> None:
        self._querying, self._bases = querying, bases
        self.handlers: dict[str, Handle] = {"GenerateQuery": self.generate}

    async def generate(self, operation: Operation, request: Request, value: Json) -> Reply:
        """The SQL is PostgreSQL's; the only type that AWS has for it is REDSHIFT_SQL."""
        options = value["transformationConfiguration"].get("textToSqlConfiguration")
        if options is None or "knowledgeBaseConfiguration" not in options:
            raise InvalidRequest("names no knowledge base", "transformationConfiguration.textToSqlConfiguration")
        tenant = request.authenticated.tenant
        arn = options["knowledgeBaseConfiguration"]["knowledgeBaseArn"]
        base = await self._bases.get(tenant, knowledge_base_id(arn, tenant))
        found = await self._querying.generate(call_of(operation, request), base, value["queryGenerationInput"]["text"])
        reply = operation.write({"queries": [{"type": "REDSHIFT_SQL", "sql": found.sql}]})
        reply.headers[WRITTEN_BY] = found.model
        return reply
