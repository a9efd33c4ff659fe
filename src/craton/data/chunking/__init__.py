"""Cutting parsed texts into chunks and pieces that the embedder reads whole (`chunker`), and into sentences.

Nothing is imported here: `sentences` is used where tokenizers are not wanted.
"""
