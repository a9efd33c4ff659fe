"""How the next token is chosen, and what is told of the choice.

The order is llama.cpp's: penalties and biases, then top-k, top-p (Holtzman et al., 2019, arXiv 1904.09751), min-p
(Nguyen et al., 2024, arXiv 2407.01082), then the temperature. Probabilities are told as they were before any of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from craton.core.chat import Sampling

if TYPE_CHECKING:
    import torch

TEMPERATURE, TOP_K, TOP_P, MIN_P = 0.8, 40, 0.95, 0.05
"""llama.cpp's own, so that a model answers alike on either engine."""


class Chosen(NamedTuple):
    """top: (token, log-probability), the likeliest first."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]


class Sampler:
    """Of one answer."""

    def __init__(self, sampling: Sampling) -> None:
        import torch

        self._sampling = sampling
        self._random = torch.Generator()
        if sampling.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(sampling.seed % 2**63)
        self._counts: dict[int, int] = {}

    def choose(self, logits: torch.Tensor) -> Chosen:
        """logits: one for each token, after the last one."""
        import torch

        said = self._sampling
        plain = torch.log_softmax(logits.float(), -1)
        scores = logits.float().clone()
        for token, bias in (said.logit_bias or {}).items():
            if 0 <= token < len(scores):
                scores[token] += bias
        for token, count in self._counts.items():
            scores[token] -= (said.frequency_penalty or 0) * count + (said.presence_penalty or 0)
        temperature = TEMPERATURE if said.temperature is None else said.temperature
        token = int(scores.argmax()) if temperature <= 0 else self._drawn(scores, temperature)
        self._counts[token] = self._counts.get(token, 0) + 1
        wanted = torch.topk(plain, min(said.logprobs, len(plain))) if said.logprobs else None
        top = tuple(zip(wanted.indices.tolist(), wanted.values.tolist(), strict=True)) if wanted is not None else ()
        return Chosen(token, float(plain[token]), top)

    def _drawn(self, scores: torch.Tensor, temperature: float) -> int:
        import torch

        said = self._sampling
        top_k = TOP_K if said.top_k is None else said.top_k
        kept = torch.topk(scores, min(top_k, len(scores)) if top_k > 0 else len(scores))
        probabilities = torch.softmax(kept.values, -1)  # in descending order
        before = probabilities.cumsum(-1) - probabilities
        keep = before < (TOP_P if said.top_p is None else said.top_p)
        keep &= probabilities >= (MIN_P if said.min_p is None else said.min_p) * probabilities[0]
        keep[0] = True
        weights = torch.softmax((kept.values / temperature).masked_fill(~keep, float("-inf")), -1)
        return int(kept.indices[torch.multinomial(weights, 1, generator=self._random)])
