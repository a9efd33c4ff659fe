"""Craton: Bedrock, the Hugging Face Hub and training, on your own machine."""

__version__ = "0.1.0"
