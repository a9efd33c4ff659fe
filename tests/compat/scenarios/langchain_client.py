"""Strangers' code on top of the clients: LangChain's models for Bedrock, OpenAI and Anthropic."""

from __future__ import annotations

import os
from typing import Any

from checks import ACCESS_KEY_ID, HELLO, SECRET_ACCESS_KEY, TOKEN, URL, equal, holds, run
from langchain_anthropic import ChatAnthropic
from langchain_aws import ChatBedrockConverse
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

os.environ |= {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}


def bedrock_model() -> Any:
    """LangChain knows by a list of its own which models can be told to call a tool; others are declared."""
    return ChatBedrockConverse(
        model="echo",
        provider="craton",
        region_name="us-east-1",
        endpoint_url=URL,
        supports_tool_choice_values=("auto", "any", "tool"),
    )


def openai_model() -> Any:
    return ChatOpenAI(model="echo", base_url=f"{URL}/v1", api_key=SecretStr(TOKEN), max_retries=0)


def anthropic_model() -> Any:
    return ChatAnthropic(model_name="echo", base_url=URL, api_key=SecretStr(TOKEN), max_retries=0)


class City(BaseModel):
    """A city."""

    name: str
    people: int


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"it rains in {city}"


def _text(message: Any) -> str:
    content = message.content
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _invoke_and_stream(model: Any) -> None:
    answer = model.invoke(HELLO)
    equal(_text(answer), HELLO)
    equal(answer.usage_metadata["output_tokens"], 3)
    equal("".join(_text(chunk) for chunk in model.stream(HELLO)), HELLO)


def _call_a_tool(model: Any) -> None:
    (call,) = model.bind_tools([weather], tool_choice="weather").invoke("weather?").tool_calls
    equal((call["name"], list(call["args"])), ("weather", ["city"]))


def chatbedrockconverse() -> None:
    _invoke_and_stream(bedrock_model())


def chatbedrockconverse_calls_a_tool() -> None:
    _call_a_tool(bedrock_model())


def chatopenai() -> None:
    _invoke_and_stream(openai_model())


def chatopenai_calls_a_tool() -> None:
    _call_a_tool(openai_model())


def chatopenai_gives_structured_output() -> None:
    holds(isinstance(openai_model().with_structured_output(City).invoke("a city"), City), "no City came back")


def openaiembeddings() -> None:
    """`check_embedding_ctx_length=False`: otherwise LangChain sends OpenAI's token ids, fetched from the network."""
    embeddings = OpenAIEmbeddings(
        model="echo", base_url=f"{URL}/v1", api_key=SecretStr(TOKEN), check_embedding_ctx_length=False
    )
    one, two = embeddings.embed_documents(["one", "two words"])
    holds(len(one) == len(two) > 1, "the lengths differ")


def chatanthropic() -> None:
    _invoke_and_stream(anthropic_model())


def chatanthropic_calls_a_tool() -> None:
    _call_a_tool(anthropic_model())


run(
    [
        chatbedrockconverse,
        chatbedrockconverse_calls_a_tool,
        chatopenai,
        chatopenai_calls_a_tool,
        chatopenai_gives_structured_output,
        openaiembeddings,
        chatanthropic,
        chatanthropic_calls_a_tool,
    ]
)
