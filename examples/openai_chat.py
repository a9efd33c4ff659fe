"""Streams an answer over OpenAI's chat completions, with an unmodified openai client.

craton exec -- python examples/openai_chat.py
"""

import sys

from openai import OpenAI

MODEL = sys.argv[1] if len(sys.argv) > 1 else "smollm2-135m-instruct"

chunks = OpenAI().chat.completions.create(
    model=MODEL,
    messages=[{"role": "user", "content": "What is supervised learning?"}],
    max_tokens=200,
    temperature=0.2,
    stream=True,
    stream_options={"include_usage": True},
)

for chunk in chunks:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)
    if chunk.usage:
        print(f"\n\ntokens: {chunk.usage.prompt_tokens} in, {chunk.usage.completion_tokens} out")
