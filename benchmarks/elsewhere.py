"""What our optimizers and their arguments are called in optax and torch, and the defaults there."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple


class Peer(NamedTuple):
    """Another library: where its optimizers are, and those that have another name than ours."""

    modules: tuple[str, ...]
    names: dict[str, str]

    def find(self, name: str) -> tuple[str, Callable] | None:
        """The path and the factory of what there is under our name."""
        for module in self.modules:
            for found, factory in vars(importlib.import_module(module)).items():
                if callable(factory) and found.lower() == self.names.get(name, name).lower():
                    return f"{module}.{found}", factory
        return None


PEERS = (
    Peer(
        ("optax", "optax.contrib", "optax.transforms"),
        {
            "momentum": "sgd", "heavy_ball": "sgd", "nesterov": "sgd", "dadapt_adam": "dadapt_adamw",
            "clip_by_value": "clip", "add_l2": "add_decayed_weights", "weight_decay": "add_decayed_weights",
            "normalize_by_norm": "normalize_by_update_norm", "conditionally": "conditionally_transform",
            "zero_nonfinite": "zero_nans", "skip_nonfinite": "apply_if_finite",
            "optimistic_gradient": "optimistic_gradient_descent",
            "accumulate_gradients": "MultiSteps", "clip_per_example": "differentially_private_aggregate",
        },
    ),
    Peer(
        ("torch.optim",),
        {"momentum": "SGD", "heavy_ball": "SGD", "nesterov": "SGD", "amsgrad": "Adam", "nadamw": "NAdam"},
    ),
)  # fmt: skip

# Arguments of ours under their names elsewhere; "betas.0" is the first of a pair.
ALIASES = {
    "learning_rate": ("lr",), "b1": ("betas.0",), "b2": ("betas.1",), "b3": ("beta3",), "eps": ("eps.0",),
    "eps_scale": ("eps.1",), "decay": ("alpha",), "decay_rate": ("beta2_decay",), "d0": ("estim_lr0",),
    "clipping_threshold": ("d",), "d_coef": ("estim_lr_coef",), "weight_power": ("weight_lr_power",),
    "eta_minus": ("etas.0",), "eta_plus": ("etas.1",), "min_step_size": ("step_sizes.0",),
    "max_step_size": ("step_sizes.1",), "r_eps": ("init_step.1",), "weight_decay": ("weight_decay_rate",),
    "mask": ("weight_decay_mask",), "clip_value": ("clip_value_fn",), "memory_size": ("history_size",),
    "linesearch": ("line_search_fn",), "beta": ("momentum",), "ns_coeffs": ("ns_coefficients",),
}  # fmt: skip

# Arguments of ours that mean something else than theirs of the same name.
HOMONYMS = {("muon", "mask")}  # here the leaves that are orthogonalized


def defaults(factory: Callable) -> dict[str, Any]:
    """The arguments of a factory and their defaults (`inspect.Parameter.empty` if there is none)."""
    parameters = inspect.signature(factory).parameters.values()
    return {p.name: p.default for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


def counterpart(argument: str, theirs: dict[str, Any]) -> tuple[str, Any] | None:
    """The name and the default that an argument of ours has among the arguments of a peer."""
    for alias in (*ALIASES.get(argument, ()), argument):
        name, _, index = alias.partition(".")
        if name in theirs and not index:
            return name, theirs[name]
        if index and type(theirs.get(name)) is tuple:
            return name, theirs[name][int(index)]
    return None
