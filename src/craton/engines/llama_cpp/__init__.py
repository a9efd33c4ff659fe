"""GGUF models, run by llama.cpp's own server loop inside this process (through xllamacpp).

Imported in a worker only. The parts: `options` (what the operator may set), `server` (the native loop, its requests as
async streams), `requests` and `events` (core words to llama.cpp's and back), `grammar` (what holds the output to a
schema), `engine` (the whole).
"""

from craton.engines.llama_cpp.engine import LlamaCppEngine

__all__ = ["LlamaCppEngine"]
