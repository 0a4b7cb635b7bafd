"""Projections onto sets, and proximal operators: what turns a gradient step into a constrained one.

    project_l2_ball(params, 3.0)        project_l1_ball(params, 1.0)        soft_threshold(params, 0.01)
    projected(adam(1e-3), project_max_norm, max_norm=3.0)    # an optimizer (jn.projected)

A projection is the nearest point of a set; a proximal operator is the best compromise between a penalty
and staying near, argmin t·h(x) + ½‖x − v‖², and the projection is that of a penalty that is 0 inside
and infinite outside. Each function here takes an array or a whole tree and returns the same; all
floating-point leaves together are one vector (but for `project_max_norm`, `project_spectral_ball` and
`group_threshold`, which are about matrices), other leaves and `None` stay as they are; numbers may be
traced. To project leaf by leaf, map the function over the tree.

Entries may have any size that their dtype holds, also beside one another, as long as it holds their norm
too, and so may radii. Gradients are finite. At a corner, where the derivatives from two sides differ, the
gradient is one of the two: where nothing has to be moved (inside a ball, at a threshold of 0, on the wall of
a box) it is the identity.

A step of any optimizer becomes a constrained one by `projected(optimizer, project_max_norm, max_norm=3.0)`,
or by `proximal(optimizer, l1(1e-4))`, which by default reach weights only.
"""

# ruff: noqa: F403

# One line for each file: the names in its `__all__` are public.
from jaxopt_notes.projections.box import *
from jaxopt_notes.projections.l2_ball import *
from jaxopt_notes.projections.simplex import *
from jaxopt_notes.projections.sparse import *
from jaxopt_notes.projections.spectral_ball import *
from jaxopt_notes.projections.thresholds import *
from jaxopt_notes.registry import public_names as _public_names

__all__ = _public_names(__name__, globals())
