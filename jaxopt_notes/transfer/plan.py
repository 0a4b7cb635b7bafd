"""The plan: how much of a pretrained network to train, by how similar and how large the new data are."""

from typing import NamedTuple

__all__ = ["TransferPlan", "transfer_plan"]


class TransferPlan(NamedTuple):
    """What to train, and how.

    Arguments:
        trains: "head", "top layers", "probes" or "most layers".
        rate: a factor for the rate of pretrained layers, beside that of the head.
        advice: in words.

    Example:
        >>> TransferPlan("head", 0.0, "a linear classifier on top").trains
        'head'
    """

    trains: str
    rate: float
    advice: str


PLANS = {
    (True, True): TransferPlan(
        "head", 0.0,
        "Freeze everything and train a linear classifier on the features below the old head: "
        "fine-tuning would overfit.",
    ),
    (True, False): TransferPlan(
        "top layers", 0.1,
        "Train a new head, then unfreeze a few layers from the top down, at a tenth of its rate "
        "(gradual_unfreezing, discriminative_rates, l2_sp).",
    ),
    (False, True): TransferPlan(
        "probes", 0.0,
        "The hard case: the top layers know the old task. Try linear classifiers on the features of several "
        "earlier layers (linear_probe), with augmentation; more data is worth more than tuning.",
    ),
    (False, False): TransferPlan(
        "most layers", 0.1,
        "Begin at the pretrained weights and fine-tune most or all layers; compare with a fresh start.",
    ),
}  # fmt: skip


def transfer_plan(similar: bool, little_data: bool) -> TransferPlan:
    """The four cases of transfer learning.

                         little data                       much data
        similar data     a linear classifier on top        fine-tune a few layers
        other data       linear ones at several stages     fine-tune most layers

    Arguments:
        similar: whether the new inputs are like those of the pretraining.
        little_data: whether a network of this size would overfit them.

    Returns:
        A `TransferPlan`.

    Example:
        >>> transfer_plan(similar=True, little_data=False).trains
        'top layers'

    Source: the study notes; Karpathy, CS231n, "Transfer learning"; Yosinski et al. 2014.
    """
    return PLANS[bool(similar), bool(little_data)]
