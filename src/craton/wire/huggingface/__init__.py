"""The Hugging Face Hub: what huggingface_hub, transformers and datasets speak."""
