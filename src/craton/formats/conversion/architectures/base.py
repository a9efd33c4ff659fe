"""What is the same for every family."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from craton.core.errors import Unsupported
from craton.formats.conversion.lazy import Tensors
from craton.formats.conversion.settings import Settings

if TYPE_CHECKING:
    from gguf import GGUFWriter


class Architecture:
    """One model's way to GGUF. Raises Unsupported, when it is made, for settings that llama.cpp has no words for."""

    name: ClassVar[str]
    """Of the architecture in gguf.MODEL_ARCH."""
    unused: ClassVar[tuple[str, ...]] = ("rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias")
    """Endings of tensors that hold no weights."""
    rounded_yarn: ClassVar[bool] = False
    """Whether yarn whose ramp ends between two frequencies (`truncate: false`) is taken though llama.cpp rounds its
    ends."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.check()

    def check(self) -> None:
        """Raises Unsupported for what would be computed differently."""

    def arrange(self, tensors: Tensors) -> Tensors:
        """The tensors as GGUF lays them out, still under transformers' names (TensorNameMap knows those)."""
        return tensors

    def describe(self, writer: GGUFWriter) -> None:
        """Writes the hyperparameters."""
        said = self.settings
        writer.add_context_length(self.context)
        writer.add_embedding_length(said.width)
        writer.add_block_count(said.layers)
        writer.add_feed_forward_length(said.whole("intermediate_size"))
        writer.add_head_count(said.heads)
        writer.add_head_count_kv(said.kv_heads)
        writer.add_layer_norm_rms_eps(said.number("rms_norm_eps", default=1e-6))
        writer.add_vocab_size(said.whole("vocab_size"))

    @property
    def context(self) -> int:
        """Tokens. Where the model looks back through a window that llama.cpp does not know for this family, no more
        than that window: within it both compute the same."""
        trained = self.settings.whole("max_position_embeddings", default=2048)
        window = self.window
        return min(trained, window) if window else trained

    @property
    def window(self) -> int:
        """Tokens of a sliding window that llama.cpp leaves out; 0 for none."""
        return 0

    def heads_of(self, writer: GGUFWriter) -> None:
        writer.add_key_length(self.settings.head_width)
        writer.add_value_length(self.settings.head_width)

    def positions(self, writer: GGUFWriter, default: float = 10_000.0) -> None:
        """Rotary positions. Raises Unsupported for a scaling without a word in GGUF."""
        from gguf import RopeScalingType

        rope = Settings(self.settings.rope())
        kind = rope.get("rope_type")
        writer.add_rope_freq_base(rope.number("rope_theta", default=default))
        if kind == "linear":
            writer.add_rope_scaling_type(RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(rope.number("factor"))
        elif kind == "yarn":
            if rope.get("attention_factor") is not None:
                raise Unsupported("An attention_factor of its own for yarn positions in GGUF")
            if rope.get("truncate") is False and not self.rounded_yarn:
                raise Unsupported("Yarn positions that are not rounded (truncate: false) in GGUF")
            writer.add_rope_scaling_type(RopeScalingType.YARN)
            writer.add_rope_scaling_factor(rope.number("factor"))
            writer.add_rope_scaling_orig_ctx_len(
                rope.whole("original_max_position_embeddings", default=self.settings.whole("max_position_embeddings"))
            )
            writer.add_rope_scaling_yarn_beta_fast(rope.number("beta_fast", default=32.0))
            writer.add_rope_scaling_yarn_beta_slow(rope.number("beta_slow", default=1.0))
        elif kind not in {"default", "llama3"}:
            raise Unsupported(f"Positions of the type {str(kind)[:40]!r} in GGUF")
