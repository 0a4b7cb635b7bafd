"""Optimizers and gradient transforms: records with `init(params)` and `update(updates, state, params)`.

    optimizer = chain(clip_by_global_norm(1.0), adamw(cosine(1e-3, 10_000), weight_decay=0.01))
    state = optimizer.init(params)
    updates, state = optimizer.update(grads, state, params)
    params = apply_updates(params, updates)

`OPTIMIZERS` are whole optimizers, `TRANSFORMS` stand before or after one in a `chain`, `WRAPPERS`
take an optimizer, `AGGREGATIONS` make one gradient of those of single examples. Every factory here works
without arguments but for the wrapped optimizer.

`SOLVERS` are the methods for losses without noise: of second order, with a line search, for penalties
with corners and for constraints. Most need `value_fn=`, the loss itself, in `update`.
"""

# A rule is registered by the line that imports it: the name is public (`jn.NAME`), in the registry of its
# section, and with that tested, counted and documented. Behind it may stand the learning rate that tests take
# where they know none better ("# rate 0.03"; otherwise 0.1).

import types as _types
from collections.abc import Callable as _Callable
from typing import Any as _Any

_Registry = dict[str, _Callable[..., _Any]]


def _imported(*registered: _Registry) -> _Registry:
    """The factories imported so far that stand in no registry, by name."""
    known = {name for registry in registered for name in registry}
    return {
        name: thing
        for name, thing in sorted(globals().items())
        if isinstance(thing, _types.FunctionType) and not name.startswith("_") and name not in known
    }


# isort: off
# fmt: off

from jaxopt_notes.optimizers.sgd import SGD as SGD, sgd as sgd  # rate 0.1
from jaxopt_notes.optimizers.momentum import Momentum as Momentum, momentum as momentum  # rate 0.03
from jaxopt_notes.optimizers.heavy_ball import heavy_ball as heavy_ball  # rate 0.03
from jaxopt_notes.optimizers.nesterov import Nesterov as Nesterov, nesterov as nesterov  # rate 0.05
from jaxopt_notes.optimizers.nesterov import NesterovAccelerated as NesterovAccelerated, nesterov_accelerated as nesterov_accelerated  # rate 0.1
from jaxopt_notes.optimizers.adagrad import AdaGrad as AdaGrad, adagrad as adagrad  # rate 1.0
from jaxopt_notes.optimizers.adadelta import AdaDelta as AdaDelta, adadelta as adadelta  # rate 1.0
from jaxopt_notes.optimizers.rmsprop import RMSProp as RMSProp, rmsprop as rmsprop  # rate 0.2
from jaxopt_notes.optimizers.adam import Adam as Adam, adam as adam  # rate 0.2
from jaxopt_notes.optimizers.adamw import AdamW as AdamW, adamw as adamw  # rate 0.2
from jaxopt_notes.optimizers.amsgrad import AMSGrad as AMSGrad, amsgrad as amsgrad  # rate 0.2
from jaxopt_notes.optimizers.adamax import Adamax as Adamax, adamax as adamax  # rate 0.3
from jaxopt_notes.optimizers.adamax import AdamaxW as AdamaxW, adamaxw as adamaxw  # rate 0.3
from jaxopt_notes.optimizers.nadam import NAdam as NAdam, nadam as nadam  # rate 0.1
from jaxopt_notes.optimizers.nadam import NAdamW as NAdamW, nadamw as nadamw  # rate 0.1
from jaxopt_notes.optimizers.radam import RAdam as RAdam, radam as radam  # rate 0.2
from jaxopt_notes.optimizers.adabelief import AdaBelief as AdaBelief, adabelief as adabelief  # rate 0.1
from jaxopt_notes.optimizers.yogi import Yogi as Yogi, yogi as yogi  # rate 0.2
from jaxopt_notes.optimizers.adopt import ADOPT as ADOPT, adopt as adopt  # rate 0.3
from jaxopt_notes.optimizers.ademamix import AdEMAMix as AdEMAMix, ademamix as ademamix  # rate 0.5
from jaxopt_notes.optimizers.schedule_free_sgd import ScheduleFreeSGD as ScheduleFreeSGD, schedule_free_sgd as schedule_free_sgd  # rate 0.5
from jaxopt_notes.optimizers.schedule_free_adamw import ScheduleFreeAdamW as ScheduleFreeAdamW, schedule_free_adamw as schedule_free_adamw  # rate 0.3
from jaxopt_notes.optimizers.prodigy import Prodigy as Prodigy, prodigy as prodigy
from jaxopt_notes.optimizers.dadapt_sgd import DAdaptSGD as DAdaptSGD, dadapt_sgd as dadapt_sgd  # rate 1.0
from jaxopt_notes.optimizers.dadapt_adam import DAdaptAdam as DAdaptAdam, dadapt_adam as dadapt_adam  # rate 1.0
from jaxopt_notes.optimizers.dog import DoG as DoG, dog as dog  # rate 2.0
from jaxopt_notes.optimizers.dog import DoWG as DoWG, dowg as dowg
from jaxopt_notes.optimizers.lamb import LAMB as LAMB, lamb as lamb  # rate 0.2
from jaxopt_notes.optimizers.lars import LARS as LARS, lars as lars  # rate 0.2
from jaxopt_notes.optimizers.lion import Lion as Lion, lion as lion  # rate 0.01
from jaxopt_notes.optimizers.signum import Signum as Signum, signum as signum  # rate 0.005
from jaxopt_notes.optimizers.signum import SignSGD as SignSGD, sign_sgd as sign_sgd  # rate 0.02
from jaxopt_notes.optimizers.adan import Adan as Adan, adan as adan  # rate 1.0
from jaxopt_notes.optimizers.novograd import NovoGrad as NovoGrad, novograd as novograd  # rate 0.01
from jaxopt_notes.optimizers.adafactor import Adafactor as Adafactor, adafactor as adafactor  # rate 0.5
from jaxopt_notes.optimizers.sm3 import SM3 as SM3, sm3 as sm3  # rate 0.5
from jaxopt_notes.optimizers.rprop import Rprop as Rprop, rprop as rprop  # rate 0.1
from jaxopt_notes.optimizers.fromage import Fromage as Fromage, fromage as fromage  # rate 0.2
from jaxopt_notes.optimizers.muon import Muon as Muon, muon as muon  # rate 0.2
from jaxopt_notes.optimizers.soap import SOAP as SOAP, soap as soap  # rate 0.5
from jaxopt_notes.optimizers.sophia import Sophia as Sophia, sophia as sophia  # rate 0.1
from jaxopt_notes.optimizers.optimistic_gradient import OptimisticGradient as OptimisticGradient, optimistic_gradient as optimistic_gradient  # rate 0.05
from jaxopt_notes.optimizers.polyak_sgd import PolyakSGD as PolyakSGD, polyak_sgd as polyak_sgd
from jaxopt_notes.optimizers.noisy_sgd import NoisySGD as NoisySGD, noisy_sgd as noisy_sgd  # rate 0.1

OPTIMIZERS: _Registry = _imported()
"""Whole optimizers by name."""

from jaxopt_notes.optimizers.transforms.weight_decay import add_l2 as add_l2
from jaxopt_notes.optimizers.transforms.weight_decay import weight_decay as weight_decay
from jaxopt_notes.optimizers.transforms.weight_decay import multiplicative_decay as multiplicative_decay
from jaxopt_notes.optimizers.transforms.clipping import clip_by_value as clip_by_value
from jaxopt_notes.optimizers.transforms.clipping import clip_by_norm as clip_by_norm
from jaxopt_notes.optimizers.transforms.clipping import clip_by_global_norm as clip_by_global_norm
from jaxopt_notes.optimizers.wrappers.partition import freeze as freeze
from jaxopt_notes.optimizers.wrappers.partition import layerwise_rates as layerwise_rates
from jaxopt_notes.optimizers.transforms.reduce_on_plateau import reduce_on_plateau as reduce_on_plateau
from jaxopt_notes.optimizers.transforms.adaptive_clipping import adaptive_grad_clip as adaptive_grad_clip
from jaxopt_notes.optimizers.transforms.adaptive_clipping import clip_by_block_rms as clip_by_block_rms
from jaxopt_notes.optimizers.transforms.trust_ratio import scale_by_trust_ratio as scale_by_trust_ratio
from jaxopt_notes.optimizers.transforms.centralize import centralize as centralize
from jaxopt_notes.optimizers.transforms.centralize import normalize_by_norm as normalize_by_norm
from jaxopt_notes.optimizers.transforms.trace_ema import trace as trace
from jaxopt_notes.optimizers.transforms.trace_ema import ema as ema
from jaxopt_notes.optimizers.transforms.trace_ema import correct_bias as correct_bias
from jaxopt_notes.optimizers.transforms.noise import add_noise as add_noise
from jaxopt_notes.optimizers.transforms.zero_nonfinite import zero_nonfinite as zero_nonfinite

TRANSFORMS: _Registry = _imported(OPTIMIZERS)
"""What stands before or after an optimizer in a `chain`, by name."""

from jaxopt_notes.optimizers.wrappers.skip_nonfinite import skip_nonfinite as skip_nonfinite
from jaxopt_notes.optimizers.wrappers.grouped import grouped as grouped
from jaxopt_notes.optimizers.wrappers.masking import masked as masked
from jaxopt_notes.optimizers.wrappers.master_weights import master_weights as master_weights
from jaxopt_notes.optimizers.wrappers.master_weights import kahan as kahan
from jaxopt_notes.optimizers.wrappers.accumulation import accumulate_gradients as accumulate_gradients
from jaxopt_notes.optimizers.wrappers.averaging import ema_params as ema_params
from jaxopt_notes.optimizers.wrappers.averaging import polyak_average as polyak_average
from jaxopt_notes.optimizers.wrappers.averaging import swa as swa
from jaxopt_notes.optimizers.wrappers.loss_scaling import static_loss_scale as static_loss_scale
from jaxopt_notes.optimizers.wrappers.loss_scaling import dynamic_loss_scale as dynamic_loss_scale
from jaxopt_notes.optimizers.wrappers.lookahead import lookahead as lookahead
from jaxopt_notes.optimizers.wrappers.inspect import inspect as inspect
from jaxopt_notes.optimizers.wrappers.hypergradient import Hypergradient as Hypergradient, hypergradient as hypergradient
from jaxopt_notes.optimizers.wrappers.schedule_free import schedule_free as schedule_free
from jaxopt_notes.optimizers.wrappers.conditionally import conditionally as conditionally
from jaxopt_notes.optimizers.wrappers.snapshots import snapshots as snapshots
from jaxopt_notes.optimizers.wrappers.constrained import projected as projected
from jaxopt_notes.optimizers.wrappers.constrained import proximal as proximal
from jaxopt_notes.optimizers.wrappers.constrained import pruned as pruned
from jaxopt_notes.optimizers.wrappers.sam import SAM as SAM, sam as sam

WRAPPERS: _Registry = _imported(OPTIMIZERS, TRANSFORMS)
"""What takes an optimizer, by name."""

from jaxopt_notes.optimizers.transforms.private_clipping import clip_per_example as clip_per_example

AGGREGATIONS: _Registry = _imported(OPTIMIZERS, TRANSFORMS, WRAPPERS)
"""What makes one gradient of those of single examples, by name."""

from jaxopt_notes.optimizers.solvers.newton import Newton as Newton, newton as newton
from jaxopt_notes.optimizers.solvers.newton import NewtonCG as NewtonCG, newton_cg as newton_cg
from jaxopt_notes.optimizers.solvers.levenberg_marquardt import GaussNewton as GaussNewton, gauss_newton as gauss_newton
from jaxopt_notes.optimizers.solvers.levenberg_marquardt import LevenbergMarquardt as LevenbergMarquardt, levenberg_marquardt as levenberg_marquardt
from jaxopt_notes.optimizers.solvers.bfgs import BFGS as BFGS, bfgs as bfgs
from jaxopt_notes.optimizers.solvers.lbfgs import LBFGS as LBFGS, lbfgs as lbfgs
from jaxopt_notes.optimizers.solvers.line_search import LineSearch as LineSearch, line_search as line_search
from jaxopt_notes.optimizers.solvers.proximal_gradient import ProximalGradient as ProximalGradient, proximal_gradient as proximal_gradient
from jaxopt_notes.optimizers.solvers.iterative_hard_thresholding import iterative_hard_thresholding as iterative_hard_thresholding
from jaxopt_notes.optimizers.solvers.projected_gradient import projected_gradient as projected_gradient

SOLVERS: _Registry = _imported(OPTIMIZERS, TRANSFORMS, WRAPPERS, AGGREGATIONS)
"""Methods for losses without noise, by name."""

# What rules are made of, and what makes several of them; in no registry.
from jaxopt_notes.masks import matrices as matrices
from jaxopt_notes.optimizers.core.apply_updates import apply_updates as apply_updates
from jaxopt_notes.optimizers.core.chain import Chain as Chain, chain as chain
from jaxopt_notes.optimizers.core.evaluation_params import evaluation_params as evaluation_params
from jaxopt_notes.optimizers.core.hessian_diagonal import gauss_newton_bartlett as gauss_newton_bartlett, hutchinson as hutchinson
from jaxopt_notes.optimizers.core.newton_schulz import newton_schulz as newton_schulz
from jaxopt_notes.optimizers.solvers.line_search import value_and_grad_from_state as value_and_grad_from_state
from jaxopt_notes.optimizers.solvers.proximal_gradient import proximal_step as proximal_step
from jaxopt_notes.optimizers.solvers.zoom import Zoom as Zoom, zoom as zoom
from jaxopt_notes.optimizers.wrappers.flatten_tree import Flat as Flat, flatten_tree as flatten_tree
from jaxopt_notes.optimizers.wrappers.partition import label_paths as label_paths, partition as partition
from jaxopt_notes.optimizers.wrappers.shard_state import shard_state as shard_state

# fmt: on
# isort: on

__all__ = sorted(
    name
    for name, thing in globals().items()
    if name.isupper() or (not name.startswith("_") and hasattr(thing, "__module__"))
)


def __getattr__(name: str) -> _Any:
    if name == "flatten":  # the name until 0.1; `jn.flatten` is the layer
        return flatten_tree
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
