"""The outputs that predictors of one kind have in common, so that every method's models are asked alike."""

from __future__ import annotations

from craton.core.predicting import Field, PredictVerb

PREDICTION = "prediction"
PROBABILITIES = "probabilities"
LOWER, UPPER = "lower", "upper"

Outputs = dict[PredictVerb, tuple[Field, ...]]


def classification_outputs(target: Field, *, probabilities: bool = True) -> Outputs:
    """predict: the label. predict_proba: the label, and a probability for each category in the target's order."""
    label = Field(PREDICTION, "category", categories=target.categories)
    outputs: Outputs = {"predict": (label,)}
    if probabilities:
        vector = Field(PROBABILITIES, "vector", categories=target.categories, shape=(len(target.categories),))
        outputs["predict_proba"] = (label, vector)
    return outputs


def regression_outputs(*, interval: bool = False) -> Outputs:
    """predict: the number; with interval also the bounds between which 9 of 10 true values are expected."""
    bounds = (Field(LOWER, "number"), Field(UPPER, "number")) if interval else ()
    return {"predict": (Field(PREDICTION, "number"), *bounds)}
