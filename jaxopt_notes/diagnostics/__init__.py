"""Diagnostics: what is wrong with a model, in numbers: bias or variance, too few data, too steep a valley.

bias_variance(predictor, datasets, truth)          what repeated training sets say of a method
diagnose_fit(train_error, valid_error)             which of four cases a run is, and what to do
learning_curve(trainer, key, train, valid, sizes)  whether more data will help
capacity_curve(build, capacities, key, …)          whether a larger or a smaller model will
no_free_lunch(learner, train_points)               why none of this is true of all problems at once

hessian_spectrum(loss, params, key, *args)         the ends of the Hessian's spectrum, and its density
hessian_vector_product, hessian_trace              the Hessian's products and trace, without the Hessian
sharpness, largest_stable_rate                     λ_max, and the learning rate 2/λ_max
classify_critical_point(loss, params, key, *args)  minimum, maximum, saddle or degenerate

activation_stats, unit_stats                       layers on a batch: pooled, and per unit
saturation_fraction, dead_unit_fraction            units that pass no gradient
gradient_norms, bottom_to_top, update_ratios       how gradients and steps are spread over the layers
same_sign_fraction(grads)                          units whose weights are all pushed the same way
collector()                                        all of these at every step: Trainer(collect=…)

landscape_smoothness(loss, params, rates, *args)   loss range, change of the gradient, β on its line
gradient_noise(loss, params, *data)                variance by batch size, noise scale
distribution_shift(before, after)                  of features, or of what comes into a layer
internal_covariate_shift(loss, before, after, …)   how gradients change since the layers below have moved
gradient_check(loss, params, key, *args)           against central differences
parameter_report, count_params, layer_norms        how many, how many small, and their norms

sanity_checks(trainer, key, train_data)            before a run: first loss, penalty, a few by heart
diagnose_loss_curve(losses)                        which learning rate has a curve like this
suggest_epochs, falls_monotonically                other readings of a curve
sharpness_in_training(trainer, key, train_data)    the edge of stability
loss_slice, loss_surface                           the loss along a line, over a plane
lipschitz_bound, local_lipschitz                   how much a network stretches, from above and from below
coadaptation(outputs)                              how far units are correlated
float_range(tree, "float16")                       what a narrower dtype would lose

Those of parameters, gradients and activations are pure functions of arrays, for `jit`, `vmap` and a training
step; those that train take a `Trainer` and a key.
"""

# ruff: noqa: F403

# One line for each file of diagnostics: the names in its `__all__` are public.
from jaxopt_notes.diagnostics.activation_stats import *
from jaxopt_notes.diagnostics.bias_variance import *
from jaxopt_notes.diagnostics.capacity_curve import *
from jaxopt_notes.diagnostics.coadaptation import *
from jaxopt_notes.diagnostics.collector import *
from jaxopt_notes.diagnostics.covariate_shift import *
from jaxopt_notes.diagnostics.critical_point import *
from jaxopt_notes.diagnostics.curvature import *
from jaxopt_notes.diagnostics.diagnose_fit import *
from jaxopt_notes.diagnostics.edge_of_stability import *
from jaxopt_notes.diagnostics.float_range import *
from jaxopt_notes.diagnostics.gradient_check import *
from jaxopt_notes.diagnostics.gradient_flow import *
from jaxopt_notes.diagnostics.gradient_noise import *
from jaxopt_notes.diagnostics.layer_tree import *
from jaxopt_notes.diagnostics.learning_curve import *
from jaxopt_notes.diagnostics.lipschitz import *
from jaxopt_notes.diagnostics.loss_curve import *
from jaxopt_notes.diagnostics.loss_slices import *
from jaxopt_notes.diagnostics.no_free_lunch import *
from jaxopt_notes.diagnostics.parameter_report import *
from jaxopt_notes.diagnostics.sanity_checks import *
from jaxopt_notes.diagnostics.smoothness import *
from jaxopt_notes.registry import public_names as _public_names

__all__ = [*_public_names(__name__, globals())]
