"""The networks themselves.

MLP: Rumelhart, Hinton and Williams, 1986. CNN: LeCun et al., 1989, with the small filters of Simonyan and Zisserman,
2014, and group norms (Wu and He, 2018). LSTM: Hochreiter and Schmidhuber, 1997; GRU: Cho et al., 2014. Transformer:
Vaswani et al., 2017, norms first (Xiong et al., 2020), positions learned as in BERT. Left out: residual connections of
deep CNNs, attention over an RNN's states.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from craton.engines.predictor.nets.architecture import AnyArchitecture, Cnn, Mlp, Network, Rnn, Shape, Transformer
from craton.engines.predictor.nets.vocabulary import PADDING


def build(network: Network) -> NetworkModule:
    return NetworkModule(network.architecture, network.shape)


class NetworkModule(nn.Module):
    """Rows -> outputs (rows, outputs): logits of classes, or standardised numbers.

    Inputs are standardised first, by what the training rows were like; the buffers are saved with the weights.
    """

    mean: Tensor
    deviation: Tensor
    answer_mean: Tensor
    answer_deviation: Tensor

    def __init__(self, architecture: AnyArchitecture, shape: Shape) -> None:
        super().__init__()
        size = (1,) if shape.tokens else _one_per_channel(architecture, shape)
        self.texts = bool(shape.tokens)
        self.gaps = isinstance(architecture, Mlp)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))
        self.register_buffer("answer_mean", torch.zeros(()))
        self.register_buffer("answer_deviation", torch.ones(()))
        self.body = _body(architecture, shape)

    def forward(self, rows: Tensor) -> Tensor:
        found: Tensor = self.body(shortened(rows) if self.texts else self.standardised(rows))
        return found

    def standardised(self, rows: Tensor) -> Tensor:
        """Missing values become the mean; a table's network is told beside them which they were."""
        missing = torch.isnan(rows)
        scaled = torch.where(missing, 0.0, (rows - self.mean) / self.deviation)
        return torch.cat([scaled, missing.to(scaled.dtype)], dim=1) if self.gaps else scaled

    @torch.no_grad()
    def look_at(self, rows: Tensor, answers: Tensor | None) -> None:
        """Takes means and deviations from the training rows (answers: numbers to be predicted)."""
        if not self.texts:
            over = [place for place in range(rows.dim()) if place == 0 or self.mean.shape[place - 1] == 1]
            known = ~torch.isnan(rows)
            count = known.sum(over).clamp(min=1).reshape(self.mean.shape)
            values = torch.where(known, rows, 0.0).double()
            mean = values.sum(over).reshape(self.mean.shape) / count
            spread = torch.where(known, rows.double() - mean, 0.0).square().sum(over).reshape(self.mean.shape) / count
            self.mean.copy_(mean)
            self.deviation.copy_(torch.where(spread > 1e-12, spread.sqrt(), 1.0))
        if answers is not None:
            self.answer_mean.copy_(answers.double().mean())
            self.answer_deviation.copy_(answers.double().std(correction=0).clamp(min=1e-12))


def shortened(rows: Tensor) -> Tensor:
    """Without the padding that all rows of the batch have."""
    return rows[:, : max(1, int((rows != PADDING).sum(1).max()))] if len(rows) else rows


def _one_per_channel(architecture: AnyArchitecture, shape: Shape) -> tuple[int, ...]:
    """The shape of the means: one for each column, channel, or value of a step."""
    if isinstance(architecture, Cnn):
        return (shape.inputs[0], 1, 1)
    return shape.inputs if isinstance(architecture, Mlp) else (1, shape.inputs[-1])


def _body(architecture: AnyArchitecture, shape: Shape) -> nn.Module:
    if isinstance(architecture, Mlp):
        return mlp(architecture, 2 * shape.inputs[0], shape.outputs)
    if isinstance(architecture, Cnn):
        return cnn(architecture, shape.inputs[0], shape.outputs)
    if isinstance(architecture, Rnn):
        return RecurrentNetwork(architecture, shape)
    return TransformerEncoder(architecture, shape)


def mlp(architecture: Mlp, inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size in architecture.hidden:
        layers += [nn.Linear(inputs, size), nn.ReLU(), nn.Dropout(architecture.dropout)]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def cnn(architecture: Cnn, inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size in architecture.channels:
        for before in (inputs, size):
            layers += [nn.Conv2d(before, size, 3, padding=1), nn.GroupNorm(_groups(size), size), nn.ReLU()]
        layers += [nn.MaxPool2d(2, ceil_mode=True), nn.Dropout(architecture.dropout)]
        inputs = size
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, outputs))


def _groups(size: int) -> int:
    return max(count for count in (8, 4, 2, 1) if size % count == 0)


class RecurrentNetwork(nn.Module):
    """The mean of the states over the real tokens, then one layer."""

    def __init__(self, architecture: Rnn, shape: Shape) -> None:
        super().__init__()
        self.first = _first_layer(shape, architecture.size)
        kind = nn.GRU if architecture.cell == "gru" else nn.LSTM
        self.states = kind(
            architecture.size,
            architecture.size,
            architecture.layers,
            batch_first=True,
            bidirectional=architecture.bidirectional,
            dropout=architecture.dropout if architecture.layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(architecture.dropout)
        self.last = nn.Linear(architecture.size * (2 if architecture.bidirectional else 1), shape.outputs)

    def forward(self, rows: Tensor) -> Tensor:
        real = _real(rows)
        lengths = real.sum(1).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(
            self.dropout(self.first(rows)), lengths, batch_first=True, enforce_sorted=False
        )
        states, _ = nn.utils.rnn.pad_packed_sequence(
            self.states(packed)[0], batch_first=True, total_length=rows.shape[1]
        )
        found: Tensor = self.last(self.dropout(_mean(states, real)))
        return found


class TransformerEncoder(nn.Module):
    """Layers of attention, the mean over the real tokens, then one layer."""

    def __init__(self, architecture: Transformer, shape: Shape) -> None:
        super().__init__()
        self.first = _first_layer(shape, architecture.size)
        self.positions = nn.Parameter(torch.randn(shape.inputs[0], architecture.size) * 0.02)
        self.dropout = nn.Dropout(architecture.dropout)
        self.layers = nn.ModuleList(Layer(architecture) for _ in range(architecture.layers))
        self.norm = nn.LayerNorm(architecture.size)
        self.last = nn.Linear(architecture.size, shape.outputs)

    def forward(self, rows: Tensor) -> Tensor:
        real = _real(rows)
        state = self.dropout(self.first(rows) + self.positions[: rows.shape[1]])
        for layer in self.layers:
            state = layer(state, real)
        found: Tensor = self.last(_mean(self.norm(state), real))
        return found


class Layer(nn.Module):
    def __init__(self, architecture: Transformer) -> None:
        super().__init__()
        size = architecture.size
        self.heads, self.share = architecture.heads, architecture.dropout
        self.before, self.between = nn.LayerNorm(size), nn.LayerNorm(size)
        self.queries, self.out = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.wide = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))
        self.dropout = nn.Dropout(architecture.dropout)

    def forward(self, state: Tensor, real: Tensor) -> Tensor:
        state = state + self.dropout(self.attended(self.before(state), real))
        found: Tensor = state + self.dropout(self.wide(self.between(state)))
        return found

    def attended(self, state: Tensor, real: Tensor) -> Tensor:
        rows, length, size = state.shape
        parts = self.queries(state).view(rows, length, 3, self.heads, size // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        # A row without any token attends to its padding: there must be something to take a softmax of.
        mask = (real | ~real.any(1, keepdim=True))[:, None, None, :]
        share = self.share if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=share)
        found: Tensor = self.out(mixed.transpose(1, 2).reshape(rows, length, size))
        return found


def _first_layer(shape: Shape, size: int) -> nn.Module:
    """Tokens are looked up; a step of numbers is mapped."""
    return nn.Embedding(shape.tokens, size, padding_idx=PADDING) if shape.tokens else nn.Linear(shape.inputs[1], size)


def _real(rows: Tensor) -> Tensor:
    """Which places hold a token; every step of numbers does."""
    if rows.dim() == 2:
        return rows != PADDING
    return torch.ones(rows.shape[:2], dtype=torch.bool, device=rows.device)


def _mean(states: Tensor, real: Tensor) -> Tensor:
    weights = real.unsqueeze(2).to(states.dtype)
    found: Tensor = (states * weights).sum(1) / weights.sum(1).clamp(min=1)
    return found
