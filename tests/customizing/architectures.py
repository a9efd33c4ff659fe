"""A model of each architecture brought in by unmodified boto3, tuned over what was brought in, and asked by its
likeliest tokens: what it says is held against transformers and PEFT."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openai
from huggingface_hub import HfApi, InferenceClient

from craton.formats.conversion.vocabulary import chat_template
from tests.customizing.clients import ROLE, Clients, wait
from tests.tiny_models import CHAT, TEXT, build

CONFIG = """
[server]
idle = 5

[jobs]
at_once = 2

[engines.llama_cpp]
threads = 1
parallel = 1

[engines.bert]
threads = 1
precision = "f32"
"""
SAID = ("The quick brown fox", "lazy", "sleep", "2026", "jumps over the lazy dog", "it")
LEARNED = [{"prompt": f"How is {word}?", "completion": f"{word} sleeps."} for word in TEXT.split()]
THIN = 1e-3
FORCED = "40"  # a token that is a letter in each vocabulary: llama.cpp tells nothing beside half of one
UPDATES = {"maxSteps": "2", "batchSize": "2", "learningRate": "0.02", "evalPercentage": "0", "precision": "float32"}


class Workshop:
    """One tenant's models. folder: where they are built."""

    def __init__(self, clients: Clients, folder: Path) -> None:
        self.clients, self.folder = clients, folder
        self.url = str(clients.runtime.meta.endpoint_url)
        for bucket in ("models", "records", "out"):
            clients.s3.create_bucket(Bucket=bucket)
        lines = "\n".join(json.dumps(record) for record in LEARNED)
        clients.s3.put_object(Bucket="records", Key="train.jsonl", Body=lines.encode())

    def named(self, name: str) -> str:
        """The repository of what was brought in."""
        return f"imported/{name.replace('_', '-')}"

    def upload(self, name: str) -> None:
        for path in sorted((self.folder / name).iterdir()):
            self.clients.s3.upload_file(str(path), "models", f"{name}/{path.name}")

    def start(self, name: str) -> str:
        """The import job's ARN."""
        self.upload(name)
        made = self.clients.bedrock.create_model_import_job(
            jobName=f"bring-{name.replace('_', '-')}",
            importedModelName=name.replace("_", "-"),
            roleArn=ROLE,
            modelDataSource={"s3DataSource": {"s3Uri": f"s3://models/{name}/"}},
        )
        return str(made["jobArn"])

    def brought(self, job: str) -> str:
        """The imported model's ARN, once it is there."""
        done = wait(lambda: self.clients.bedrock.get_model_import_job(jobIdentifier=job), "Completed")
        return str(done["importedModelArn"])

    def tune(self, name: str) -> str:
        """The customization job's ARN."""
        model = name.replace("_", "-")
        made = self.clients.bedrock.create_model_customization_job(
            jobName=f"tune-{model}",
            customModelName=f"tuned-{model}",
            roleArn=ROLE,
            baseModelIdentifier=self.named(name),
            customizationType="FINE_TUNING",
            trainingDataConfig={"s3Uri": "s3://records/train.jsonl"},
            outputDataConfig={"s3Uri": "s3://out/"},
            hyperParameters={**UPDATES, "maxLength": "64", "loraRank": "4"},
        )
        return str(made["jobArn"])

    def tuned(self, job: str) -> str:
        """The custom model's ARN."""
        done = wait(lambda: self.clients.bedrock.get_model_customization_job(jobIdentifier=job), "Completed")
        return str(done["outputModelArn"])

    def adapter(self, name: str) -> Path:
        """The folder of the adapter that was learned, from the hub."""
        api = HfApi(endpoint=self.url, token=self.clients.token)
        return Path(api.snapshot_download(f"custom/tuned-{name.replace('_', '-')}", cache_dir=self.folder / "cache"))

    def push(self, repo: str, folder: Path) -> str:
        """A private repository of the tenant's."""
        api = HfApi(endpoint=self.url, token=self.clients.token)
        api.create_repo(repo, private=True)
        api.upload_folder(repo_id=repo, folder_path=folder)
        return repo

    def difference(self, model: str, name: str, original: Any) -> tuple[float, int]:
        """The largest difference of log-probabilities to the original's, and of how many tokens: the likeliest 20 after
        each of a few prompts (but those after which the choice of experts is `torn`)."""
        import torch
        from tokenizers import Tokenizer

        templated = "im_start" in chat_template(self.folder / name)  # others are asked past their template
        tokenizer = Tokenizer.from_file(str(self.folder / name / "tokenizer.json"))
        words = [_word(tokenizer, number) for number in range(tokenizer.get_vocab_size())]
        worst, compared = 0.0, 0
        for said in SAID:
            prompt = f"<|im_start|>user\n{said}<|im_end|>\n<|im_start|>assistant\n" if templated else said
            ids = tokenizer.encode(prompt).ids
            if torn(original, ids):
                continue
            with torch.no_grad():
                expected = torch.log_softmax(original(torch.tensor([ids])).logits[0, -1], -1).tolist()
            for text, told in (self._likeliest if templated else self._continued)(model, said):
                places = [number for number, word in enumerate(words) if word == text]
                if len(places) == 1:
                    worst, compared = max(worst, abs(told - expected[places[0]])), compared + 1
        return worst, compared

    def embed(self, model: str, text: str) -> list[float]:
        body = json.dumps({"inputText": text})
        answer = self.clients.runtime.invoke_model(modelId=model, body=body)
        return list(json.loads(answer["body"].read())["embedding"])

    def classify(self, model: str, text: str) -> dict[str, float]:
        """Label -> score."""
        with InferenceClient(f"{self.url}/models/{model}", token=self.clients.token) as client:
            return {one.label: one.score for one in client.text_classification(text, top_k=10)}

    def rerank(self, name: str, query: str, texts: Sequence[str]) -> dict[int, float]:
        """Index -> score, the best first."""
        arn = self.clients.bedrock.get_imported_model(modelIdentifier=name)["modelArn"]
        answer = self.clients.client("bedrock-agent-runtime").rerank(
            queries=[{"type": "TEXT", "textQuery": {"text": query}}],
            sources=[
                {"type": "INLINE", "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": text}}}
                for text in texts
            ],
            rerankingConfiguration={
                "type": "BEDROCK_RERANKING_MODEL",
                "bedrockRerankingConfiguration": {"modelConfiguration": {"modelArn": arn}},
            },
        )
        return {one["index"]: one["relevanceScore"] for one in answer["results"]}

    def _likeliest(self, model: str, said: str) -> Sequence[tuple[str, float]]:
        with openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.clients.token) as client:
            answer = client.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": said}],
                max_tokens=1,
                logprobs=True,
                top_logprobs=20,
                temperature=0,
                logit_bias={FORCED: 100},
            )
        told = answer.choices[0].logprobs
        assert told is not None
        assert told.content
        return [(one.token, one.logprob) for one in told.content[0].top_logprobs if math.isfinite(one.logprob)]

    def _continued(self, model: str, said: str) -> Sequence[tuple[str, float]]:
        with openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.clients.token) as client:
            answer = client.completions.create(
                model=model, prompt=said, max_tokens=1, logprobs=20, temperature=0, logit_bias={FORCED: 100}
            )
        told = answer.choices[0].logprobs
        assert told is not None
        assert told.top_logprobs
        return list(told.top_logprobs[0].items())


def torn(model: Any, ids: Sequence[int]) -> bool:
    """Whether the choice of DeepSeek's experts (groups first, then experts of these; arXiv 2412.19437, 2.1.2) for the
    last token hangs by less than what keys and values in 16-bit floats change: llama.cpp may then choose others."""
    import torch

    margins: list[float] = []

    def look(router: Any, given: tuple[Any, ...], _chosen: Any) -> None:
        config, state = model.config, given[0].reshape(-1, given[0].shape[-1])[-1]
        scores = torch.sigmoid(router.weight @ state) + router.e_score_correction_bias
        groups = scores.view(config.n_group, -1).topk(2).values.sum(-1)
        ranked, places = groups.sort(descending=True)
        margins.append(float(ranked[config.topk_group - 1] - ranked[config.topk_group]))
        within = scores.view(config.n_group, -1)[places[: config.topk_group]].flatten().sort(descending=True).values
        margins.append(float(within[config.num_experts_per_tok - 1] - within[config.num_experts_per_tok]))

    routers = [module for module in model.modules() if type(module).__name__ == "DeepseekV3TopkRouter"]
    hooks = [router.register_forward_hook(look) for router in routers]
    if routers:
        with torch.no_grad():
            model(torch.tensor([ids]))
    for hook in hooks:
        hook.remove()
    return min(margins, default=1.0) < THIN


def _word(tokenizer: Any, number: int) -> str:
    """As llama.cpp tells it. Decoded alone, a piece of SentencePiece's would lose the blank before it, and a byte would
    not be the letter that it is."""
    piece = str(tokenizer.id_to_token(number))
    if (byte := re.fullmatch("<0x([0-7][0-9A-F])>", piece)) is not None:
        return chr(int(byte[1], 16))
    if piece.startswith("\u2581"):
        return piece.replace("\u2581", " ")
    return str(tokenizer.decode([number], skip_special_tokens=False))


def lora(model: Any, parts: Sequence[str], folder: Path, base: str, task: str = "CAUSAL_LM") -> Any:
    """PEFT's model, its adapter drawn by chance and saved, for the base of this name."""
    import peft
    import torch

    across = type(model).__name__.startswith("GPT2")
    config = peft.LoraConfig(r=4, target_modules=list(parts), task_type=task, fan_in_fan_out=across)
    adapted = peft.get_peft_model(model, config)
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name or "modules_to_save" in name:
                weight.normal_(0, 0.05)
    adapted.save_pretrained(folder)
    written = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(written | {"base_model_name_or_path": base}))
    return adapted.eval()


def original(folder: Path) -> Any:
    import torch
    import transformers

    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()


def built(name: str, folder: Path, template: str | None = CHAT) -> Path:
    """With weights that 16-bit floats hold exactly, so that what is compared is the computing."""
    import torch

    place = build(name, folder / name, template)
    model = original(place)
    with torch.no_grad():
        for weight in [*model.parameters(), *model.buffers()]:
            if weight.is_floating_point():
                weight.copy_(weight.half().float())
    model.save_pretrained(place)
    return place


def encoder(folder: Path, labels: Sequence[str] = ()) -> Path:
    """A BERT with a head for these labels; none: one that embeds."""
    import torch
    import transformers

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set(TEXT.lower().replace(".", " ").split()))]
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=64,
        initializer_range=0.3,
        id2label=dict(enumerate(labels)) or None,
    )
    kind = transformers.BertForSequenceClassification if labels else transformers.BertModel
    kind(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder
