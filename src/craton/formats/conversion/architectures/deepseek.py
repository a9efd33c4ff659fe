"""DeepSeek-V2, V3 and R1: latent attention, and many experts of which a few answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from craton.core.errors import Damaged, Unsupported
from craton.formats.conversion.architectures.base import Architecture
from craton.formats.conversion.lazy import Array, Lazy, Tensors, derived, stacked
from craton.formats.conversion.settings import Settings

if TYPE_CHECKING:
    from gguf import GGUFWriter

_EXPERT = re.compile(r"(model\.layers\.\d+\.mlp\.experts)\.(\d+)\.(gate_proj|up_proj|down_proj)\.weight")
_LAYER = re.compile(r"model\.layers\.(\d+)\.")


class Deepseek(Architecture):
    name = "DEEPSEEK2"

    def check(self) -> None:
        self.settings.require("hidden_act", "silu", default="silu")
        self.settings.require("attention_bias", False, default=False)
        self.settings.require("moe_layer_freq", 1, default=1)
        if self._third:
            self.settings.require("rope_interleave", True, default=True)

    @property
    def _third(self) -> bool:
        return bool(self.settings.get("model_type") == "deepseek_v3")

    def describe(self, writer: GGUFWriter) -> None:
        """Latent attention is one key head for all queries, wider than theirs (DeepSeek-V2, 2024, 2.1)."""
        from gguf import ExpertGatingFuncType

        super().describe(writer)
        said = self.settings
        latent, turned = said.whole("kv_lora_rank"), said.whole("qk_rope_head_dim")
        writer.kv_data[0].pop("deepseek2.attention.head_count_kv")
        writer.add_head_count_kv(1)
        writer.add_kv_lora_rank(latent)
        if said.get("q_lora_rank") is not None:
            writer.add_q_lora_rank(said.whole("q_lora_rank"))
        writer.add_key_length(latent + turned)
        writer.add_value_length(latent)
        writer.add_key_length_mla(said.whole("qk_nope_head_dim") + turned)
        writer.add_value_length_mla(said.whole("v_head_dim"))
        writer.add_rope_dimension_count(turned)
        self.positions(writer)
        rope = Settings(said.rope())
        if rope.get("mscale_all_dim") is not None:
            if rope.number("mscale", default=1.0) != rope.number("mscale_all_dim"):
                raise Unsupported("Yarn positions with two different mscales in GGUF")
            writer.add_rope_scaling_yarn_log_mul(0.1 * rope.number("mscale_all_dim"))
        writer.add_leading_dense_block_count(said.count("first_k_dense_replace"))
        writer.add_expert_count(said.whole("n_routed_experts"))
        writer.add_expert_used_count(said.whole("num_experts_per_tok"))
        writer.add_expert_shared_count(said.count("n_shared_experts"))
        writer.add_expert_feed_forward_length(said.whole("moe_intermediate_size"))
        writer.add_expert_weights_scale(said.number("routed_scaling_factor", default=1.0))
        writer.add_expert_weights_norm(said.flag("norm_topk_prob", default=self._third))
        writer.add_expert_gating_func(ExpertGatingFuncType.SIGMOID if self._third else ExpertGatingFuncType.SOFTMAX)
        if self._third or said.get("topk_method") == "group_limited_greedy":
            writer.add_expert_group_count(said.whole("n_group", default=1))
            writer.add_expert_group_used_count(said.whole("topk_group", default=1))

    def arrange(self, tensors: Tensors) -> Tensors:
        """Experts become one tensor; the layers that foretell more tokens are not used in answering."""
        found: Tensors = {}
        experts: dict[str, dict[int, Lazy]] = {}
        for name, tensor in tensors.items():
            layer = _LAYER.match(name)
            if layer is not None and int(layer[1]) >= self.settings.layers:
                continue
            expert = _EXPERT.fullmatch(name)
            if expert is not None:
                experts.setdefault(f"{expert[1]}.{expert[3]}.weight", {})[int(expert[2])] = tensor
            elif name.endswith("kv_b_proj.weight"):
                stem = name.removesuffix("kv_b_proj.weight")
                found[f"{stem}k_b_proj.weight"], found[f"{stem}v_b_proj.weight"] = self._split(name, tensor)
            elif name.endswith("e_score_correction_bias"):
                found[f"{name.removesuffix('e_score_correction_bias')}e_score_correction.bias"] = tensor
            else:
                found[name] = tensor
        for name, parts in experts.items():
            if sorted(parts) != list(range(self.settings.whole("n_routed_experts"))):
                raise Damaged(name, f"it has {len(parts)} experts, the configuration says otherwise")
            found[name] = stacked(parts[number] for number in range(len(parts)))
        return found

    def _split(self, name: str, tensor: Lazy) -> tuple[Lazy, Lazy]:
        """What makes keys, and what makes values, of the latent vector."""
        heads, keys, values = (
            self.settings.heads,
            self.settings.whole("qk_nope_head_dim"),
            self.settings.whole("v_head_dim"),
        )
        rows, latent = tensor.shape
        if rows != heads * (keys + values):
            raise Damaged(name, f"it has {rows} rows, which are not {heads} heads of {keys} and {values}")

        def parts() -> Array:
            return tensor.whole().reshape(heads, keys + values, latent)

        return (
            derived((heads, latent, keys), lambda: parts()[:, :keys].swapaxes(1, 2)),
            derived((heads, values, latent), lambda: parts()[:, keys:]),
        )
