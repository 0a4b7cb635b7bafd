"""Optimizers and gradient transforms: records with `init(params)` and `update(updates, state, params)`.

`OPTIMIZERS` are whole optimizers, `TRANSFORMS` stand before or after one in a `chain`, `WRAPPERS`
take an optimizer, `AGGREGATIONS` make one gradient of those of single examples. Every factory here works
without arguments but for the wrapped optimizer.

`SOLVERS` are the methods for losses without noise: of second order, with a line search, for penalties
with corners and for constraints. Most need `value_fn=`, the loss itself, in `update`.
"""

from collections.abc import Callable
from typing import Any

from jaxopt_notes.masks import matrices
from jaxopt_notes.optimizers.adabelief import AdaBelief, adabelief
from jaxopt_notes.optimizers.adadelta import AdaDelta, adadelta
from jaxopt_notes.optimizers.adafactor import Adafactor, adafactor
from jaxopt_notes.optimizers.adagrad import AdaGrad, adagrad
from jaxopt_notes.optimizers.adam import Adam, adam
from jaxopt_notes.optimizers.adamax import Adamax, AdamaxW, adamax, adamaxw
from jaxopt_notes.optimizers.adamw import AdamW, adamw
from jaxopt_notes.optimizers.adan import Adan, adan
from jaxopt_notes.optimizers.ademamix import AdEMAMix, ademamix
from jaxopt_notes.optimizers.adopt import ADOPT, adopt
from jaxopt_notes.optimizers.amsgrad import AMSGrad, amsgrad
from jaxopt_notes.optimizers.core.apply_updates import apply_updates
from jaxopt_notes.optimizers.core.chain import Chain, chain
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params
from jaxopt_notes.optimizers.core.hessian_diagonal import gauss_newton_bartlett, hutchinson
from jaxopt_notes.optimizers.core.newton_schulz import newton_schulz
from jaxopt_notes.optimizers.dadapt_adam import DAdaptAdam, dadapt_adam
from jaxopt_notes.optimizers.dadapt_sgd import DAdaptSGD, dadapt_sgd
from jaxopt_notes.optimizers.dog import DoG, DoWG, dog, dowg
from jaxopt_notes.optimizers.fromage import Fromage, fromage
from jaxopt_notes.optimizers.heavy_ball import heavy_ball
from jaxopt_notes.optimizers.lamb import LAMB, lamb
from jaxopt_notes.optimizers.lars import LARS, lars
from jaxopt_notes.optimizers.lion import Lion, lion
from jaxopt_notes.optimizers.momentum import Momentum, momentum
from jaxopt_notes.optimizers.muon import Muon, muon
from jaxopt_notes.optimizers.nadam import NAdam, NAdamW, nadam, nadamw
from jaxopt_notes.optimizers.nesterov import Nesterov, NesterovAccelerated, nesterov, nesterov_accelerated
from jaxopt_notes.optimizers.noisy_sgd import NoisySGD, noisy_sgd
from jaxopt_notes.optimizers.novograd import NovoGrad, novograd
from jaxopt_notes.optimizers.optimistic_gradient import OptimisticGradient, optimistic_gradient
from jaxopt_notes.optimizers.polyak_sgd import PolyakSGD, polyak_sgd
from jaxopt_notes.optimizers.prodigy import Prodigy, prodigy
from jaxopt_notes.optimizers.radam import RAdam, radam
from jaxopt_notes.optimizers.rmsprop import RMSProp, rmsprop
from jaxopt_notes.optimizers.rprop import Rprop, rprop
from jaxopt_notes.optimizers.schedule_free_adamw import ScheduleFreeAdamW, schedule_free_adamw
from jaxopt_notes.optimizers.schedule_free_sgd import ScheduleFreeSGD, schedule_free_sgd
from jaxopt_notes.optimizers.sgd import SGD, sgd
from jaxopt_notes.optimizers.signum import SignSGD, Signum, sign_sgd, signum
from jaxopt_notes.optimizers.sm3 import SM3, sm3
from jaxopt_notes.optimizers.soap import SOAP, soap
from jaxopt_notes.optimizers.solvers.bfgs import BFGS, bfgs
from jaxopt_notes.optimizers.solvers.iterative_hard_thresholding import (
    iterative_hard_thresholding,
)
from jaxopt_notes.optimizers.solvers.lbfgs import LBFGS, lbfgs
from jaxopt_notes.optimizers.solvers.levenberg_marquardt import (
    GaussNewton,
    LevenbergMarquardt,
    gauss_newton,
    levenberg_marquardt,
)
from jaxopt_notes.optimizers.solvers.line_search import (
    LineSearch,
    line_search,
    value_and_grad_from_state,
)
from jaxopt_notes.optimizers.solvers.newton import Newton, NewtonCG, newton, newton_cg
from jaxopt_notes.optimizers.solvers.projected_gradient import projected_gradient
from jaxopt_notes.optimizers.solvers.proximal_gradient import (
    ProximalGradient,
    proximal_gradient,
    proximal_step,
)
from jaxopt_notes.optimizers.solvers.zoom import Zoom, zoom
from jaxopt_notes.optimizers.sophia import Sophia, sophia
from jaxopt_notes.optimizers.transforms.adaptive_clipping import (
    adaptive_grad_clip,
    clip_by_block_rms,
)
from jaxopt_notes.optimizers.transforms.centralize import centralize, normalize_by_norm
from jaxopt_notes.optimizers.transforms.clipping import (
    clip_by_global_norm,
    clip_by_norm,
    clip_by_value,
)
from jaxopt_notes.optimizers.transforms.noise import add_noise
from jaxopt_notes.optimizers.transforms.private_clipping import clip_per_example
from jaxopt_notes.optimizers.transforms.reduce_on_plateau import reduce_on_plateau
from jaxopt_notes.optimizers.transforms.trace_ema import correct_bias, ema, trace
from jaxopt_notes.optimizers.transforms.trust_ratio import scale_by_trust_ratio
from jaxopt_notes.optimizers.transforms.weight_decay import (
    add_l2,
    multiplicative_decay,
    weight_decay,
)
from jaxopt_notes.optimizers.transforms.zero_nonfinite import zero_nonfinite
from jaxopt_notes.optimizers.wrappers.accumulation import accumulate_gradients
from jaxopt_notes.optimizers.wrappers.averaging import ema_params, polyak_average, swa
from jaxopt_notes.optimizers.wrappers.conditionally import conditionally
from jaxopt_notes.optimizers.wrappers.flatten import Flat, flatten
from jaxopt_notes.optimizers.wrappers.hypergradient import Hypergradient, hypergradient
from jaxopt_notes.optimizers.wrappers.inspect import inspect
from jaxopt_notes.optimizers.wrappers.lookahead import lookahead
from jaxopt_notes.optimizers.wrappers.loss_scaling import dynamic_loss_scale, static_loss_scale
from jaxopt_notes.optimizers.wrappers.masking import masked
from jaxopt_notes.optimizers.wrappers.master_weights import kahan, master_weights
from jaxopt_notes.optimizers.wrappers.partition import (
    freeze,
    label_paths,
    layerwise_rates,
    partition,
)
from jaxopt_notes.optimizers.wrappers.sam import SAM, sam
from jaxopt_notes.optimizers.wrappers.schedule_free import schedule_free
from jaxopt_notes.optimizers.wrappers.shard_state import shard_state
from jaxopt_notes.optimizers.wrappers.skip_nonfinite import skip_nonfinite
from jaxopt_notes.optimizers.wrappers.snapshots import snapshots
from jaxopt_notes.optimizers.yogi import Yogi, yogi

OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "sgd": sgd,
    "momentum": momentum,
    "heavy_ball": heavy_ball,
    "nesterov": nesterov,
    "nesterov_accelerated": nesterov_accelerated,
    "adagrad": adagrad,
    "adadelta": adadelta,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adamw,
    "amsgrad": amsgrad,
    "adamax": adamax,
    "adamaxw": adamaxw,
    "nadam": nadam,
    "nadamw": nadamw,
    "radam": radam,
    "adabelief": adabelief,
    "yogi": yogi,
    "adopt": adopt,
    "ademamix": ademamix,
    "schedule_free_sgd": schedule_free_sgd,
    "schedule_free_adamw": schedule_free_adamw,
    "prodigy": prodigy,
    "dadapt_sgd": dadapt_sgd,
    "dadapt_adam": dadapt_adam,
    "dog": dog,
    "dowg": dowg,
    "lamb": lamb,
    "lars": lars,
    "lion": lion,
    "signum": signum,
    "sign_sgd": sign_sgd,
    "adan": adan,
    "novograd": novograd,
    "adafactor": adafactor,
    "sm3": sm3,
    "rprop": rprop,
    "fromage": fromage,
    "muon": muon,
    "soap": soap,
    "sophia": sophia,
    "optimistic_gradient": optimistic_gradient,
    "polyak_sgd": polyak_sgd,
    "noisy_sgd": noisy_sgd,
}

TRANSFORMS: dict[str, Callable[..., Any]] = {
    "add_l2": add_l2,
    "weight_decay": weight_decay,
    "multiplicative_decay": multiplicative_decay,
    "clip_by_value": clip_by_value,
    "clip_by_norm": clip_by_norm,
    "clip_by_global_norm": clip_by_global_norm,
    "freeze": freeze,
    "layerwise_rates": layerwise_rates,
    "reduce_on_plateau": reduce_on_plateau,
    "adaptive_grad_clip": adaptive_grad_clip,
    "clip_by_block_rms": clip_by_block_rms,
    "scale_by_trust_ratio": scale_by_trust_ratio,
    "centralize": centralize,
    "normalize_by_norm": normalize_by_norm,
    "trace": trace,
    "ema": ema,
    "add_noise": add_noise,
    "zero_nonfinite": zero_nonfinite,
    "correct_bias": correct_bias,
}

WRAPPERS: dict[str, Callable[..., Any]] = {
    "skip_nonfinite": skip_nonfinite,
    "masked": masked,
    "master_weights": master_weights,
    "kahan": kahan,
    "accumulate_gradients": accumulate_gradients,
    "ema_params": ema_params,
    "polyak_average": polyak_average,
    "swa": swa,
    "static_loss_scale": static_loss_scale,
    "dynamic_loss_scale": dynamic_loss_scale,
    "lookahead": lookahead,
    "inspect": inspect,
    "hypergradient": hypergradient,
    "schedule_free": schedule_free,
    "conditionally": conditionally,
    "snapshots": snapshots,
    "sam": sam,
}

AGGREGATIONS: dict[str, Callable[..., Any]] = {
    "clip_per_example": clip_per_example,
}

SOLVERS: dict[str, Callable[..., Any]] = {
    "newton": newton,
    "newton_cg": newton_cg,
    "gauss_newton": gauss_newton,
    "levenberg_marquardt": levenberg_marquardt,
    "bfgs": bfgs,
    "lbfgs": lbfgs,
    "line_search": line_search,
    "proximal_gradient": proximal_gradient,
    "iterative_hard_thresholding": iterative_hard_thresholding,
    "projected_gradient": projected_gradient,
}

__all__ = [
    "ADOPT", "AGGREGATIONS", "BFGS", "LAMB", "LARS", "LBFGS", "OPTIMIZERS", "SAM", "SGD", "SM3", "SOAP",
    "SOLVERS", "TRANSFORMS", "WRAPPERS", "AMSGrad", "AdEMAMix", "AdaBelief", "AdaDelta", "AdaGrad",
    "Adafactor", "Adam", "AdamW", "Adamax", "AdamaxW", "Adan", "Chain", "DAdaptAdam", "DAdaptSGD", "DoG",
    "DoWG", "Flat", "Fromage", "GaussNewton", "Hypergradient", "LevenbergMarquardt", "LineSearch", "Lion",
    "Momentum", "Muon", "NAdam", "NAdamW", "Nesterov", "NesterovAccelerated", "Newton", "NewtonCG",
    "NoisySGD", "NovoGrad", "OptimisticGradient", "PolyakSGD", "Prodigy", "ProximalGradient", "RAdam",
    "RMSProp", "Rprop", "ScheduleFreeAdamW", "ScheduleFreeSGD", "SignSGD", "Signum", "Sophia", "Yogi", "Zoom",
    "accumulate_gradients", "adabelief", "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamaxw",
    "adamw", "adan", "adaptive_grad_clip", "add_l2", "add_noise", "ademamix", "adopt", "amsgrad",
    "apply_updates", "bfgs", "centralize", "chain", "clip_by_block_rms", "clip_by_global_norm",
    "clip_by_norm", "clip_by_value", "clip_per_example", "conditionally", "correct_bias", "dadapt_adam",
    "dadapt_sgd", "dog", "dowg", "dynamic_loss_scale", "ema", "ema_params", "evaluation_params", "flatten",
    "freeze", "fromage", "gauss_newton", "gauss_newton_bartlett", "heavy_ball", "hutchinson", "hypergradient",
    "inspect", "iterative_hard_thresholding", "kahan", "label_paths", "lamb", "lars", "layerwise_rates",
    "lbfgs", "levenberg_marquardt", "line_search", "lion", "lookahead", "masked", "master_weights",
    "matrices", "momentum", "multiplicative_decay", "muon", "nadam", "nadamw", "nesterov",
    "nesterov_accelerated", "newton", "newton_cg", "newton_schulz", "noisy_sgd", "normalize_by_norm",
    "novograd", "optimistic_gradient", "partition", "polyak_average", "polyak_sgd", "prodigy",
    "projected_gradient", "proximal_gradient", "proximal_step", "radam", "reduce_on_plateau", "rmsprop",
    "rprop", "sam", "scale_by_trust_ratio", "schedule_free", "schedule_free_adamw", "schedule_free_sgd",
    "sgd", "shard_state", "sign_sgd", "signum", "skip_nonfinite", "sm3", "snapshots", "soap", "sophia",
    "static_loss_scale", "swa", "trace", "value_and_grad_from_state", "weight_decay", "yogi",
    "zero_nonfinite", "zoom",
]  # fmt: skip
