"""Streams an answer over Amazon Bedrock's ConverseStream, with an unmodified boto3.

    craton exec -- python examples/converse.py

Nothing in here knows Craton. Run it without `craton exec`, with the name of one of Bedrock's models
("amazon.nova-micro-v1:0"), and it speaks to the real Bedrock.
"""

import sys

import boto3

MODEL = sys.argv[1] if len(sys.argv) > 1 else "smollm2-135m-instruct"

answer = boto3.client("bedrock-runtime").converse_stream(
    modelId=MODEL,
    messages=[{"role": "user", "content": [{"text": "What is supervised learning?"}]}],
    inferenceConfig={"maxTokens": 200, "temperature": 0.2},
)

for event in answer["stream"]:
    if "contentBlockDelta" in event:
        print(event["contentBlockDelta"]["delta"]["text"], end="", flush=True)
    elif "messageStop" in event:
        print(f"\n\nstopped: {event['messageStop']['stopReason']}")
    elif "metadata" in event:
        usage = event["metadata"]["usage"]
        print(f"tokens:  {usage['totalTokens'] - usage['outputTokens']} in, {usage['outputTokens']} out")
