"""The service bedrock: the control plane, one module a noun, each a class with its handlers by operation name."""
