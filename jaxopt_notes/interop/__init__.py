"""Other libraries: what works as it is, and adapters for the rest, which import them only when called.

Our optimizers follow optax's protocol by name, so most places that expect an
`optax.GradientTransformation` take a record as it is:

- `optax.chain`, `optax.masked`, `optax.partition`, `optax.MultiSteps`, `optax.apply_if_finite`, and
  `optax.inject_hyperparams(adam)(learning_rate=0.1)`;
- Flax: `TrainState.create(..., tx=adam(0.1))` and `nnx.Optimizer(model, adam(0.1), wrt=nnx.Param)`;
- Equinox: `optimizer.init(eqx.filter(model, eqx.is_inexact_array))`, then `update` and
  `eqx.apply_updates`. A model that still contains functions is filtered first, as for optax. As an
  argument of `eqx.filter_jit`, which takes Python numbers for structure, a record is made of arrays:
  `jax.tree.map(jnp.asarray, adam(0.1))`; `jax.jit` needs no such thing.

`to_optax` is needed in two cases: `nnx.Optimizer` refuses a record whose numbers are arrays, and all of
optax's combinators pass extra arguments (`value=…`) to a `GradientTransformationExtraArgs` only.

In all these places the optimizer is held as structure, so its numbers are constants of the compiled
program, and another learning rate is another compilation. Passed to your own function as an argument, a
record is data. Nothing is lost by doing so: in the other direction `chain` takes transforms of optax, and
every rate takes a schedule of optax. Made of closures, they are structure too: build them once, because a
chain rebuilt around new closures is traced again.

`save_orbax` and `load_orbax` keep trees that are spread over many devices as checkpoints of orbax.

`from_torch` makes parameters of a state dict of torch, `to_torch` the reverse; `torchvision_resnet_names` and
`torch_transformer_names` are what modules of ready networks are called there. `from_flax` and `to_flax` do
it for linen's variables, `from_nnx` and `to_nnx` for NNX's state.

`Trainer(model=…)` takes a module of linen, NNX or Equinox as it is: `linen_model`, `nnx_model` and
`equinox_model` are what it puts around them, so that sweeps, folds, ensembles and diagnostics take them too.

`optuna_search` makes a search strategy of any sampler of Optuna, its trials in any of Optuna's storages.
"""

from jaxopt_notes.interop.equinox_model import EquinoxModel, equinox_model
from jaxopt_notes.interop.flax import from_flax, from_nnx, to_flax, to_nnx
from jaxopt_notes.interop.linen_model import LinenModel, linen_model
from jaxopt_notes.interop.loggers import mlflow_logger, tensorboard_logger, wandb_logger
from jaxopt_notes.interop.nnx_model import NNXModel, nnx_model
from jaxopt_notes.interop.optax import to_optax
from jaxopt_notes.interop.optuna import OptunaSearch, optuna_search
from jaxopt_notes.interop.optuna_results import to_optuna
from jaxopt_notes.interop.optuna_study import from_optuna
from jaxopt_notes.interop.orbax import load_orbax, save_orbax
from jaxopt_notes.interop.torch import from_torch, to_torch
from jaxopt_notes.interop.torch_names import torch_transformer_names, torchvision_resnet_names

__all__ = [
    "EquinoxModel",
    "LinenModel",
    "NNXModel",
    "OptunaSearch",
    "equinox_model",
    "from_flax",
    "from_nnx",
    "from_optuna",
    "from_torch",
    "linen_model",
    "load_orbax",
    "mlflow_logger",
    "nnx_model",
    "optuna_search",
    "save_orbax",
    "tensorboard_logger",
    "to_flax",
    "to_nnx",
    "to_optax",
    "to_optuna",
    "to_torch",
    "torch_transformer_names",
    "torchvision_resnet_names",
    "wandb_logger",
]
