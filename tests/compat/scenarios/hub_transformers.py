"""transformers and peft: tiny random models and an adapter to the hub and back, weight for weight."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from checks import equal, holds, raises, run
from huggingface_hub import HfApi
from safetensors.torch import load_file

api: Any = HfApi()
work = tempfile.TemporaryDirectory()
folder = Path(work.name)
TINY: Any = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
torch.manual_seed(1)


def new_name() -> str:
    return f"compat/tiny-{uuid.uuid4().hex[:12]}"


def cache() -> Path:
    return folder / uuid.uuid4().hex


def bert() -> Any:
    return transformers.BertForMaskedLM(transformers.BertConfig(vocab_size=1000, **TINY))


def llama() -> Any:
    config = transformers.LlamaConfig(vocab_size=20_000, num_key_value_heads=2, **TINY)
    return transformers.LlamaForCausalLM(config)


def same_weights(found: Any, expected: Any) -> None:
    left, right = found.state_dict(), expected.state_dict()
    equal(sorted(left), sorted(right))
    different = [name for name in right if not torch.equal(left[name], right[name])]
    equal(different, [])


def a_bert_and_back() -> None:
    model, name = bert(), new_name()
    model.push_to_hub(name)
    same_weights(transformers.AutoModelForMaskedLM.from_pretrained(name, cache_dir=cache()), model)
    equal(transformers.AutoConfig.from_pretrained(name, cache_dir=cache()).hidden_size, 64)


def a_llama_and_back_in_shards() -> None:
    model, name = llama(), new_name()
    model.push_to_hub(name, max_shard_size="4MB", private=True)
    holds("model.safetensors.index.json" in api.list_repo_files(name), "it is in one piece")
    found = transformers.AutoModelForCausalLM.from_pretrained(name, cache_dir=cache())
    same_weights(found, model)
    prompt = torch.tensor([[1, 2, 3]])
    options: Any = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 0}
    equal(found.generate(prompt, **options).tolist(), model.generate(prompt, **options).tolist())


def a_revision_is_pinned() -> None:
    first, second, name = bert(), bert(), new_name()
    first.push_to_hub(name)
    before = api.model_info(name).sha
    api.create_tag(name, tag="v1")
    second.push_to_hub(name, commit_message="Other weights")
    load = transformers.AutoModelForMaskedLM.from_pretrained
    for revision, expected in ((before, first), ("v1", first), ("main", second)):
        same_weights(load(name, revision=revision, cache_dir=cache()), expected)


def a_model_as_a_proposal() -> None:
    first, second, name = bert(), bert(), new_name()
    first.push_to_hub(name)
    second.push_to_hub(name, create_pr=True)
    load = transformers.AutoModelForMaskedLM.from_pretrained
    same_weights(load(name, cache_dir=cache()), first)
    same_weights(load(name, revision="refs/pr/1", cache_dir=cache()), second)


def what_the_header_of_the_weights_says() -> None:
    model, name = bert(), new_name()
    model.push_to_hub(name)
    found = api.get_safetensors_metadata(name)
    file = load_file(api.hf_hub_download(name, "model.safetensors", cache_dir=cache()))
    equal(sum(found.parameter_count.values()), sum(one.numel() for one in file.values()))
    equal(api.model_info(name).safetensors.total, sum(one.numel() for one in file.values()))


def an_adapter_over_its_base() -> None:
    base, name = llama(), new_name()
    base.push_to_hub(name)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(name, cache_dir=cache())
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    adapted: Any = peft.get_peft_model(loaded, config)
    prompt = torch.tensor([[1, 2, 3, 4]])
    with torch.no_grad():
        expected = adapted(prompt).logits
        adapted.push_to_hub(f"{name}-lora")
        equal(peft.PeftConfig.from_pretrained(f"{name}-lora", cache_dir=cache()).base_model_name_or_path, name)
        fresh = transformers.AutoModelForCausalLM.from_pretrained(name, cache_dir=cache())
        plain = fresh(prompt).logits
        over: Any = peft.PeftModel.from_pretrained(fresh, f"{name}-lora", cache_dir=cache())
        equal(torch.equal(over(prompt).logits, expected), True)
        whole = peft.AutoPeftModelForCausalLM.from_pretrained(f"{name}-lora", cache_dir=cache())
        equal(torch.equal(whole(prompt).logits, expected), True)
    holds(not torch.allclose(plain, expected), "the adapter changes nothing")


def the_card_of_an_adapter_names_its_base() -> None:
    """Uploaded as a folder: `push_to_hub` of transformers writes its own card over that of peft."""
    base, name, saved = llama(), new_name(), folder / uuid.uuid4().hex
    base.push_to_hub(name)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(name, cache_dir=cache())
    config = peft.LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM")
    peft.get_peft_model(loaded, config).save_pretrained(str(saved))
    api.create_repo(f"{name}-lora")
    api.upload_folder(repo_id=f"{name}-lora", folder_path=saved)
    about = api.model_info(f"{name}-lora")
    equal((about.card_data.base_model, about.library_name), (name, "peft"))
    holds(f"base_model:adapter:{name}" in about.tags, f"its base is not told: {about.tags}")


def generation_settings_beside_it() -> None:
    name = new_name()
    transformers.GenerationConfig(max_new_tokens=7).push_to_hub(name)
    equal(transformers.GenerationConfig.from_pretrained(name, cache_dir=cache()).max_new_tokens, 7)


def what_is_not_there_is_said() -> None:
    with raises(OSError, says="compat/nothing-here"):
        transformers.AutoModel.from_pretrained("compat/nothing-here", cache_dir=cache())
    name = new_name()
    bert().push_to_hub(name)
    with raises(OSError, says="v9"):
        transformers.AutoModel.from_pretrained(name, revision="v9", cache_dir=cache())


run(
    [
        a_bert_and_back,
        a_llama_and_back_in_shards,
        a_revision_is_pinned,
        a_model_as_a_proposal,
        what_the_header_of_the_weights_says,
        an_adapter_over_its_base,
        the_card_of_an_adapter_names_its_base,
        generation_settings_beside_it,
        what_is_not_there_is_said,
    ]
)
