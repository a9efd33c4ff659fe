"""The service bedrock-agent-runtime: asking knowledge bases. Agents, flows and their sessions are refused."""

from __future__ import annotations

from craton.knowledge.protocol import Knowledge
from craton.wire.aws.bedrock_agent_runtime.generation import GenerationOperations
from craton.wire.aws.bedrock_agent_runtime.querying import QueryOperations
from craton.wire.aws.bedrock_agent_runtime.reranking import RerankOperations
from craton.wire.aws.bedrock_agent_runtime.retrieval import RetrievalOperations
from craton.wire.aws.handling import Handle


class BedrockAgentRuntime:
    """Handlers by operation name."""

    def __init__(self, knowledge: Knowledge) -> None:
        self.handlers: dict[str, Handle] = {
            **RetrievalOperations(knowledge.retrieving, knowledge.documents).handlers,
            **RerankOperations(knowledge.ranking).handlers,
            **GenerationOperations(knowledge.answering).handlers,
            **QueryOperations(knowledge.querying, knowledge.bases).handlers,
        }
