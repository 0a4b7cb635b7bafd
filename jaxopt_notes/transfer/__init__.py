"""Transfer: what one network has learned, used by another.

    params = from_pretrained(fresh, trained, "layers_0")          # take part of it (initializers)
    trainer = Trainer(model, optimizer, loss, trainable={"head": True, "body": False})
    state = start_from(trainer, key, data, params)                # train only the head; no gradient below
    state, history = gradual_unfreezing(trainer, state, stages, data, epochs=5)

How much to train is a matter of how much data there is and how similar it is: `transfer_plan`. A
`linear_probe` says which layer's features serve the new task, before anything is fine-tuned. Lower layers
move more slowly by `discriminative_rates` (for `layerwise_rates`), and the penalty `l2_sp` holds all of it
near where it began. Batch normalization in a frozen layer still moves its running statistics in training.
"""

# ruff: noqa: F403

# One line for each file: the names in its `__all__` are public.
from jaxopt_notes.registry import public_names as _public_names
from jaxopt_notes.transfer.linear_probe import *
from jaxopt_notes.transfer.plan import *
from jaxopt_notes.transfer.rates import *
from jaxopt_notes.transfer.unfreezing import *

__all__ = _public_names(__name__, globals())
