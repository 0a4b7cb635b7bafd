"""Ensembles: several networks that answer together, better than each alone.

Members of one kind are one model with stacked parameters, `Members`, as `vmap` makes them: they train as one
population and predict in one call. Everything else works on what members say, arrays [M, B, …], so members of
different kinds can be mixed (`predict_each`), and what a sweep has trained can be used.

    members, history = train_members(trainer, key, data, members=5, epochs=20)     # a deep ensemble
    bag = bagging(trainer, key, data, members=9, epochs=20)                        # each on its own bootstrap
    outputs = members.predict(x)                                                   # [M, B, C]

    average(outputs, of="probabilities")        vote(outputs)        uncertainty(outputs)
    chosen = greedy_selection(outputs_on_validation, labels, softmax_cross_entropy)

They make their members differ in different ways: by the seed alone (`train_members`), by the sample
(`bagging`), by the features (`random_subspaces`), by what earlier members got wrong (`adaboost`,
`gradient_boosting`), by the time in one run (`snapshot_members`, of the optimizer `snapshots`), by dropout
(`monte_carlo`, a layer's function), by hyperparameters (a sweep). Averages of parameters instead of outputs
are `average_parameters`, and the optimizers `swa` and `ema_params`.
"""

# ruff: noqa: F403

# One line for each file: the names in its `__all__` are public.
from jaxopt_notes.ensembles.adaboost import *
from jaxopt_notes.ensembles.ambiguity import *
from jaxopt_notes.ensembles.averaging import *
from jaxopt_notes.ensembles.bagging import *
from jaxopt_notes.ensembles.gradient_boosting import *
from jaxopt_notes.ensembles.members import *
from jaxopt_notes.ensembles.parameters import *
from jaxopt_notes.ensembles.random_subspaces import *
from jaxopt_notes.ensembles.selection import *
from jaxopt_notes.ensembles.stacking import *
from jaxopt_notes.ensembles.uncertainty import *
from jaxopt_notes.ensembles.voting import *
from jaxopt_notes.registry import public_names as _public_names

__all__ = _public_names(__name__, globals())
