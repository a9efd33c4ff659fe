"""GGUF models, run by llama.cpp's own server loop inside this process (through xllamacpp).

Imported in a worker only. The parts: `options` (what the operator may set), `server` (the native loop, its requests as
async streams), `requests` and `events` (core words to llama.cpp's and back), `limits` (what is refused at once),
`grammar` (what holds the output to a schema), `engine` (the whole). `tokenizer` and `counter` count tokens with nothing
loaded: they need no llama.cpp, which is why nothing is imported here.
"""
