"""What each update may cost at most: bytes per float32 parameter, on CPU and on TPU.

Parameters and gradient are read and parameters written (12). On CPU, XLA writes one loop per output: that of
a slot reads the gradient and the slot and writes it, and the parameters' reads it back (16 more); on TPU the
update is one fusion, and each slot is read and written once (8 more). So much may every registered rule
cost; those that need less on CPU, or more, are listed, the latter with the reason.
"""

from typing import Any, NamedTuple

import jax

from benchmarks.shapes import one_leaf, size
from jaxopt_notes.optimizers import OPTIMIZERS


class Budget(NamedTuple):
    """Bytes accessed per float32 parameter of one large leaf, twice as long as wide.

    On CPU also bytes of temporaries, and how many arrays of the leaf's rank are copied. `rows` is the length
    of the leaf on TPU: larger than the fast memory, but where the compiler would take minutes.
    """

    cpu: float
    tpu: float
    temporaries: float = 0
    copies: int = 0
    rows: int = 16384


EXCEPTIONS = {
    "momentum": Budget(24, 20),
    "heavy_ball": Budget(24, 20),
    "adadelta": Budget(48, 28),
    "adam": Budget(40, 28),
    "adamw": Budget(40, 28),
    "amsgrad": Budget(52, 36),
    "adamax": Budget(40, 28),
    "adamaxw": Budget(40, 28),
    "radam": Budget(40, 28),
    "yogi": Budget(40, 28),
    "ademamix": Budget(56, 36),
    "lamb": Budget(52, 40),  # one pass more over both moments and the parameters, for two norms
    "lars": Budget(36, 28),  # two norms, and the velocity's loop reads the parameters
    "signum": Budget(24, 20),
    "adan": Budget(76, 44),  # of four slots the last gradient comes after n, which it reads on CPU
    "novograd": Budget(32, 24),
    "adafactor": Budget(28.02, 24.02, 0.01),  # no slot of its size; row and column means, and two norms
    "sm3": Budget(44.02, 20, 4.01),  # on CPU the accumulators are stored for the maxima
    "rprop": Budget(28, 22),  # signs in a byte
    "fromage": Budget(20, 20),
    "muon": Budget(250, 192, 14.01),  # five times three products of full precision, and what lies between
    "soap": Budget(288, 557.3, 34.01, 18, 256),  # four square matrices, the eigenvectors' routines
    "sophia": Budget(48.01, 44, 4.01),  # the estimate of the curvature, or 0 before it, is stored and read
    "polyak_sgd": Budget(16, 16),  # a norm
    "noisy_sgd": Budget(68.01, 12.01, 16.01, 2),  # on CPU random bits are stored, and made in a loop
    "schedule_free_sgd": Budget(32, 20),  # both loops read gradient and parameters
    "schedule_free_adamw": Budget(52, 28),  # the direction is computed twice, not stored
    "prodigy": Budget(68, 40),  # three slots and the start; two sums
    "dadapt_sgd": Budget(44, 32),  # a slot and the start; two sums and a norm
    "dadapt_adam": Budget(76, 36, 4.01),  # three slots, two sums; on CPU the terms of one are stored
    "dog": Budget(24, 24),  # the start; a sum and a norm
    "dowg": Budget(24, 24),
}


def usual(optimizer: Any) -> Budget:
    """The budget of a rule by the size of its state."""
    leaf = one_leaf()
    state = jax.tree.leaves(jax.eval_shape(optimizer.init, leaf))
    slots = sum(x.size * x.dtype.itemsize for x in state if x.ndim) / (4 * size(leaf))
    return Budget(12 + 16 * slots, 12 + 8 * slots)


BUDGETS = {name: EXCEPTIONS.get(name) or usual(factory()) for name, factory in OPTIMIZERS.items()}
