"""The words of topics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from craton.training.protocol import Figure
from craton.training.reports.style import Canvas, color, short

if TYPE_CHECKING:
    from craton.training.methods.unsupervised.topics import Topic

MOST_TOPICS = 12
WORDS = 6
ACROSS = 3


def topic_words(topics: Sequence[Topic]) -> Figure:
    """A panel for each of the largest topics: its words by weight."""
    largest = sorted(enumerate(topics), key=lambda pair: -pair[1].texts)[:MOST_TOPICS]
    down = max(1, -(-len(largest) // ACROSS))
    canvas = Canvas("Topics and their words", 9.2, 0.7 + 1.9 * down, panels=ACROSS, down=down)
    for panel in canvas.panels[len(largest) :]:
        panel.set_visible(False)
    for panel, (number, topic) in zip(canvas.panels, largest, strict=False):
        words = topic.words[:WORDS]
        panel.barh(range(len(words)), [weight for _, weight in words], color=color(number), height=0.7)
        panel.set_yticks(range(len(words)), [short(word, 16) for word, _ in words])
        panel.set_ylim(WORDS - 0.4, -0.6)
        panel.set_title(f"{number}: {topic.texts:,} texts", fontsize=9, loc="left")
        panel.set_xticks([])
        panel.grid(visible=False)
    return canvas.figure("topics", {"topics": [msgspec.to_builtins(topic) for topic in topics]})
