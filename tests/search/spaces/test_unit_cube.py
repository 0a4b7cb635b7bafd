"""Points of the unit cube."""

import jax
import numpy as np

from jaxopt_notes.search.spaces.unit_cube import reflect


def test_what_leaves_the_cube_comes_back_as_far():
    found = jax.jit(reflect)(np.array([-0.25, 0.0, 0.4, 1.0, 1.25, 2.25, -1.75], np.float32))
    np.testing.assert_allclose(found, [0.25, 0.0, 0.4, 1.0, 0.75, 0.25, 0.25], atol=1e-6)
