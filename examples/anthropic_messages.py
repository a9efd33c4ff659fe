"""Streams an answer over Anthropic's Messages, with an unmodified anthropic client.

craton exec -- python examples/anthropic_messages.py
"""

import sys

from anthropic import Anthropic

MODEL = sys.argv[1] if len(sys.argv) > 1 else "smollm2-135m-instruct"

with Anthropic().messages.stream(
    model=MODEL,
    messages=[{"role": "user", "content": "What is supervised learning?"}],
    max_tokens=200,
) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
    message = stream.get_final_message()

print(f"\n\nstopped: {message.stop_reason}")
read = message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0)
print(f"tokens:  {read} in, {message.usage.output_tokens} out")
