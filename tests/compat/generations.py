"""Which clients `make compat` runs, and what is known not to work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Generation:
    """One client, as it was installed at some time.

    scenario: the script in scenarios/. requirements: exact versions. until: dependencies are no newer than this date
    (uv only; with pip they are of today).
    """

    scenario: str
    requirements: tuple[str, ...]
    until: str = ""

    @property
    def name(self) -> str:
        return self.requirements[0].replace("==", " ")


NO_OLD_PROXIES = "httpx==0.27.2"  # 0.28 took away an argument that these clients pass

GENERATIONS = (
    Generation("boto3_client", ("boto3==1.34.162",), "2024-09-01"),
    Generation("boto3_client", ("boto3==1.35.68",), "2024-11-23"),
    Generation("boto3_client", ("boto3==1.38.46",), "2025-07-01"),
    Generation("boto3_client", ("boto3==1.41.2",), "2025-11-23"),
    Generation("boto3_client", ("boto3==1.43.127",)),
    Generation("boto3_client", ("boto3==1.44.5",)),
    Generation("openai_client", ("openai==1.40.8", NO_OLD_PROXIES), "2024-09-01"),
    Generation("openai_client", ("openai==1.55.0", NO_OLD_PROXIES), "2024-11-23"),
    Generation("openai_client", ("openai==1.109.1",), "2025-11-23"),
    Generation("openai_client", ("openai==2.8.1",), "2025-11-23"),
    Generation("openai_client", ("openai==2.54.0",)),
    Generation("openai_client", ("openai==3.54.0",)),
    Generation("anthropic_client", ("anthropic==0.39.0", NO_OLD_PROXIES), "2024-11-23"),
    Generation("anthropic_client", ("anthropic==0.74.1",), "2025-11-23"),
    Generation("anthropic_client", ("anthropic==1.17.0",)),
    Generation("anthropic_client", ("anthropic==2.12.0",)),
    Generation("langchain_client", ("langchain-aws==1.9.1", "langchain-openai==1.7.3", "langchain-anthropic==1.7.7")),
    Generation("knowledge_boto3", ("boto3==1.33.13",), "2023-12-15"),
    Generation("knowledge_boto3", ("boto3==1.34.162",), "2024-09-01"),
    Generation("knowledge_boto3", ("boto3==1.38.46",), "2025-07-01"),
    Generation("knowledge_boto3", ("boto3==1.44.5",)),
    Generation(
        "knowledge_langchain", ("langchain-aws==1.9.1", "langchain-openai==1.7.3", "langchain-anthropic==1.7.7")
    ),
    Generation(
        "knowledge_llama_index",
        ("llama-index-retrievers-bedrock==0.7.0", "llama-index-postprocessor-bedrock-rerank==0.7.0"),
    ),
    Generation("knowledge_haystack", ("amazon-bedrock-haystack==9.0.0",)),
    Generation("aws_cli", ("awscli==1.33.44",), "2024-09-01"),
    Generation("aws_cli", ("awscli==1.46.3",)),
    Generation(
        "s3_libraries", ("s3fs==2026.9.0", "smart-open==9.0.2", "minio==7.2.20", "obstore==0.12.1", "boto3==1.43.117")
    ),
    Generation("s3_arrow", ("pyarrow==26.0.1", "duckdb==2.0.0")),
    Generation("hub_client", ("huggingface_hub==0.36.2",), "2026-02-20"),
    Generation("hub_client", ("huggingface_hub==1.19.0",), "2026-06-20"),
    Generation("hub_client", ("huggingface_hub==1.29.0",), "2026-09-05"),
    Generation("hub_client", ("huggingface_hub==2.4.0",)),
    Generation("hub_without_xet", ("huggingface_hub==2.4.0",)),
    Generation("hub_cli", ("huggingface_hub==1.29.0",), "2026-09-05"),
    Generation("hub_cli", ("huggingface_hub==2.4.0",)),
    Generation("hub_datasets", ("datasets==3.6.0",), "2025-07-01"),
    Generation("hub_datasets", ("datasets==4.8.5",), "2026-05-01"),
    Generation("hub_datasets", ("datasets==5.2.0",)),
    Generation("hub_transformers", ("transformers==5.23.0", "peft==0.21.2", "torch==2.13.0")),
    Generation("hub_diffusers", ("diffusers==0.42.1", "transformers==5.23.0", "torch==2.13.0")),
    Generation("mlflow_server", ("mlflow==3.17.2",)),
    Generation("ray_cluster", ("ray[default]==2.60.0",)),
)

OVER_LFS = (
    "This generation uses Xet when the answer to its Git LFS batch chooses it, which Craton does not: old hf_xet "
    "(1.1.5, 1.2.0) speaks routes without a version, and the batch does not tell which hf_xet is there. Large files go "
    "over Git LFS, whole, and are read the same way. Later generations take Xet without asking."
)

KNOWN_LIMITS: dict[tuple[str, str], str] = {
    ("huggingface_hub 0.36.2", "large files come as chunks"): OVER_LFS,
    ("huggingface_hub 1.19.0", "large files come as chunks"): OVER_LFS,
    ("datasets 4.8.5", "streamed"): (
        "This generation's `skip` over several shards gives too many rows, also over local files. In 5.2.0 it is right."
    ),
    ("anthropic 0.39.0", "a stream tells the input tokens"): (
        "The prompt's tokens are known last, and told in message_delta (`message_start` says 0). This generation reads "
        "them from message_start alone; whole answers, count_tokens and later generations have them."
    ),
}
"""(generation's name, check) -> why it fails. One that passes after all is an error too: take it out."""
