"""Every kind of customization through Bedrock: unmodified boto3 against a real server, with a tiny model."""

from __future__ import annotations

import time
from pathlib import Path

from tests.proof.homes import pull_starters
from tests.proof.report import Proof

ABOUT = (
    "Unmodified boto3 against a real server whose base is a Llama of a few thousand weights by chance, made from a "
    "config: create_model_customization_job; when it is Completed, its curves are read from the output bucket, and its "
    "model is deployed and asked by Converse. What was held out is measured before and after; a model as small as this "
    "learns little in an update or two, and no direction is claimed here (objectives.md does that). Rewards are given "
    "by a Python function, by an HTTP address, and by a model as judge (the starter model)."
)


def prove(folder: Path) -> Proof:
    from tests.customizing.kinds import check, grading, kinds, start, supplied

    proof = Proof("customizing", "Every kind of customization through Bedrock", ABOUT)
    rows = ["| job | customizationType | held out, before and after | seconds |", "|---|---|---|---|"]
    with grading() as (address, seen), supplied(folder) as firm:
        pull_starters(folder / "home")
        for name, asked in kinds(address).items():
            began = time.monotonic()
            arn = start(firm, name, asked)
            before, after = check(firm, name, arn, asked)
            took = time.monotonic() - began
            deployed = firm.alice.deploy(name, firm.get(arn)["outputModelArn"])
            same = firm.alice.say(deployed) == firm.alice.say(f"custom/{name}")
            proof.bound(f"{name}: what is deployed answers as its model", "yes" if same else "no", "yes", same)
            rows.append(f"| {name} | {asked.kind} | {asked.measured} {before:.4g} -> {after:.4g} | {took:.0f} |")
    whole = bool(seen) and all(sample["prompt"] == sample["record"]["prompt"] for sample in seen)
    proof.bound("answers that the address was asked about, with their records", str(len(seen)), "some", whole)
    proof.tables.append("\n".join(rows))
    return proof
