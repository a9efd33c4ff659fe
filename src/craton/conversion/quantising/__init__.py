"""Fewer bits for the weights of a GGUF file, and what that costs: size, speed and perplexity, before beside after."""
