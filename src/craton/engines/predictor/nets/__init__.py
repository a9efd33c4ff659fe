"""Networks for tables, pictures, sequences and texts: small enough to read, described by JSON, kept as safetensors."""
