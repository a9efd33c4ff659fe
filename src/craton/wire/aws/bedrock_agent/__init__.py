"""The service bedrock-agent: building knowledge bases, one module a noun. Agents, flows and prompts are refused."""

from __future__ import annotations

from craton.knowledge.protocol import Knowledge
from craton.wire.aws.bedrock_agent.data_sources import DataSourceOperations
from craton.wire.aws.bedrock_agent.documents import DocumentOperations
from craton.wire.aws.bedrock_agent.ingestion_jobs import IngestionJobOperations
from craton.wire.aws.bedrock_agent.knowledge_bases import KnowledgeBaseOperations
from craton.wire.aws.bedrock_agent.tags import TagOperations
from craton.wire.aws.handling import Handle


class BedrockAgent:
    """Handlers by operation name."""

    def __init__(self, knowledge: Knowledge) -> None:
        self.handlers: dict[str, Handle] = {
            **KnowledgeBaseOperations(knowledge.bases).handlers,
            **DataSourceOperations(knowledge.sources).handlers,
            **IngestionJobOperations(knowledge.ingestions).handlers,
            **DocumentOperations(knowledge.documents).handlers,
            **TagOperations(knowledge.bases).handlers,
        }
