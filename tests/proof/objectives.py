"""Preferences and rewards move what they are about, on the starter model, measured before and after."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.proof.report import Proof

STARTER = "SmolLM2-135M-Instruct.Q4_1.gguf"
THINGS = (
    "apple",
    "river",
    "engine",
    "violin",
    "bridge",
    "candle",
    "library",
    "garden",
    "mirror",
    "forest",
    "doctor",
    "kettle",
)
ABOUT = (
    "Adapters of rank 8 over smollm2-135m-instruct. Preferences: to describe a thing, a short answer is chosen, a long "
    "one rejected. Rewards: a Python function rewards few words. Four of the twelve prompts are held out; what is "
    "measured on them before is the base."
)
SHORT = "It is a common thing that many people know."
LONG = (
    "I would like to begin by thanking you for this question, which is an interesting one, and which many people ask."
)
GRADER = "def grade(prompt, answer, record):\n    return max(0.0, 1 - len(answer.split()) / 24)\n"


def prove(folder: Path) -> Proof:
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    from craton.training.specification.tuning import Grader, Lora, PreferenceTuning, Records, RewardTuning, TextFit
    from craton.training.tuning import preference, reward
    from tests.training.memory import MemoryRun
    from tests.training.tuning.conftest import given
    from tests.training.tuning.test_graders import Outside

    base = folder / "base"
    base.mkdir()
    (base / STARTER).symlink_to(Path(os.environ["CRATON_TEST_STARTERS"]).resolve() / STARTER)
    proof = Proof("objectives", "Preferences and rewards on the starter model", ABOUT)

    def run(name: str) -> MemoryRun:
        (folder / name).mkdir()
        return MemoryRun(folder / name, repositories={"model:smollm2@1": base}, outside=Outside())

    prompts = [{"prompt": f"Describe a {thing}."} for thing in THINGS]
    fit = TextFit(steps=8, batch=2, length=128, learning_rate=2e-4)
    began = time.monotonic()
    preferring = PreferenceTuning(data=Records("s3://a/b", share=0.33), base="smollm2", lora=Lora(8), train=fit)
    pairs = [{**prompt, "chosen": SHORT, "rejected": LONG} for prompt in prompts]
    found = preference.train(preferring, given(pairs, "smollm2@1"), run("preferences")).metrics
    before, after = found["validation_loss_before"], found["validation_loss"]
    proof.bound("loss of preferences held out", f"{before:.3f} -> {after:.3f}", "lower", after < before)
    margin, right = found["reward_margin"], found["reward_accuracy"]
    proof.bound("margin of rewards", f"0 -> {margin:.3f}", "above 0", margin > 0)
    proof.bound("preferences told right by it", f"{right:.2f}", "above 0.5", right > 0.5)
    proof.note("preferences took", f"{time.monotonic() - began:.0f} s")
    began = time.monotonic()
    rewarding = RewardTuning(
        data=Records("s3://a/b", share=0.33),
        base="smollm2",
        lora=Lora(8),
        train=TextFit(steps=10, batch=8, length=128, learning_rate=5e-4),
        grader=Grader(python=GRADER),
        group=8,
        tokens=20,
    )
    found = reward.train(rewarding, given(prompts, "smollm2@1"), run("rewards")).metrics
    before, after = found["validation_reward_before"], found["validation_reward"]
    proof.bound("mean reward on prompts held out", f"{before:.3f} -> {after:.3f}", "higher", after > before)
    proof.note("rewards took", f"{time.monotonic() - began:.0f} s")
    return proof
