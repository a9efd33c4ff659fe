"""Models that live behind another provider's HTTP API. No imports here beyond what the composition root needs."""

from __future__ import annotations

from craton.engines.upstream.anthropic import AnthropicUpstream
from craton.engines.upstream.anthropic_request import AnthropicOptions
from craton.engines.upstream.bedrock import BedrockUpstream
from craton.engines.upstream.bedrock_request import BedrockOptions
from craton.engines.upstream.bedrock_signing import AwsKeys, BearerKey
from craton.engines.upstream.openai import OpenAIUpstream
from craton.engines.upstream.openai_request import DEEPSEEK, OPENAI, OpenAIOptions
from craton.engines.upstream.transport import Timeouts

__all__ = [
    "DEEPSEEK",
    "OPENAI",
    "AnthropicOptions",
    "AnthropicUpstream",
    "AwsKeys",
    "BearerKey",
    "BedrockOptions",
    "BedrockUpstream",
    "OpenAIOptions",
    "OpenAIUpstream",
    "Timeouts",
]
