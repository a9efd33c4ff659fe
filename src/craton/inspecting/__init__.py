"""Looking inside a model: how it cuts a text into tokens, what its heads attend to, which token it expects next.

`inspector` is the whole for callers; the work on files from strangers is done in child processes (`child`), which are
asked in `frames`: `cutting` needs a tokenizer alone, `attending` and `drawing` need craton[train]. Next tokens come
from the engine that serves the model.
"""
