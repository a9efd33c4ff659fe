"""Models that llama.cpp does not read, run by Hugging Face transformers: safetensors only, no code of their own.

Runs inside a worker process only, and needs `craton[train]`: importing the engine imports torch.
"""
