"""Finds the sentence that means the most alike, by the angle between their vectors.

craton exec -- python examples/embeddings.py "How do I get a refund?"
"""

import sys

from openai import OpenAI

QUESTION = sys.argv[1] if len(sys.argv) > 1 else "How do I get a refund?"
SENTENCES = [
    "You can send the article back within 30 days, and we return your money.",
    "Our office is open from nine to five, Monday to Friday.",
    "The battery lasts about ten hours.",
    "To reset your password, follow the link in the mail.",
]

answer = OpenAI().embeddings.create(model="all-minilm-l6-v2", input=[QUESTION, *SENTENCES])
question, *vectors = (item.embedding for item in answer.data)


def likeness(vector: list[float]) -> float:
    """The cosine: the vectors have length 1, so the sum of products is enough."""
    return sum(a * b for a, b in zip(question, vector, strict=True))


print(QUESTION)
for sentence, vector in sorted(zip(SENTENCES, vectors, strict=True), key=lambda pair: -likeness(pair[1])):
    print(f"  {likeness(vector):5.2f}  {sentence}")
