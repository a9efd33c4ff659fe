"""One ingestion by a rival, run by its own Python: `python -P rival.py NAME MODEL FOLDER`.

Both do what their documentation begins with: every text file of a folder is read, cut, embedded and put into the index
in memory that needs nothing else installed, with all defaults; only the embedding model is given. Prints JSON: seconds
without imports and without loading the model, and the number of chunks that can be searched.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def llama_index(model: str, folder: Path) -> tuple[float, int]:
    """SimpleDirectoryReader, then VectorStoreIndex: chunks of 1,024 tokens that share 200 (of another tokenizer)."""
    from llama_index.core import Settings, SimpleDirectoryReader, VectorStoreIndex
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    Settings.embed_model = HuggingFaceEmbedding(model_name=model)
    Settings.embed_model.get_text_embedding("warm up")
    started = time.perf_counter()
    documents = SimpleDirectoryReader(str(folder)).load_data()
    index = VectorStoreIndex.from_documents(documents)
    seconds = time.perf_counter() - started
    assert index.as_retriever().retrieve("What is measured?")
    return seconds, len(index.docstore.docs)


def haystack(model: str, folder: Path) -> tuple[float, int]:
    """The indexing pipeline of its tutorials: converter, cleaner, splitter (200 words), embedder, writer."""
    from haystack import Pipeline
    from haystack.components.converters import TextFileToDocument
    from haystack.components.preprocessors import DocumentCleaner, DocumentSplitter
    from haystack.components.writers import DocumentWriter
    from haystack.document_stores.in_memory import InMemoryDocumentStore
    from haystack_integrations.components.embedders.sentence_transformers import SentenceTransformersDocumentEmbedder

    store = InMemoryDocumentStore()
    parts = {
        "converter": TextFileToDocument(),
        "cleaner": DocumentCleaner(),
        "splitter": DocumentSplitter(),
        "embedder": SentenceTransformersDocumentEmbedder(model=model, progress_bar=False),
        "writer": DocumentWriter(document_store=store),
    }
    pipeline = Pipeline()
    for name, part in parts.items():
        pipeline.add_component(name, part)
    for before, after in zip(parts, list(parts)[1:], strict=False):
        pipeline.connect(before, after)
    pipeline.warm_up()
    started = time.perf_counter()
    pipeline.run({"converter": {"sources": sorted(folder.iterdir())}})
    return time.perf_counter() - started, store.count_documents()


def main() -> None:
    name, model, folder = sys.argv[1:]
    seconds, chunks = {"llama_index": llama_index, "haystack": haystack}[name](model, Path(folder))
    print(json.dumps({"seconds": seconds, "chunks": chunks}), flush=True)


if __name__ == "__main__":
    main()
