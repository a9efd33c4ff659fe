"""The Open Inference Protocol, version 2 (REST), for trained models.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""
