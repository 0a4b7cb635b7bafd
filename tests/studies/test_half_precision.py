"""Chains in float16 end where arithmetic says; gradients are lost below and above the right loss scales."""

import numpy as np
import pytest

from jaxopt_notes.studies import half_precision


@pytest.mark.full
@pytest.mark.notes("S0-31", "S0-33", "S0-37")
def test_where_chains_end_and_which_scales_keep_gradients(key):
    """log₁.₅ 65504 = 27.35; 0.8ⁿ < 2⁻²⁵ from n = 78 on, but step by step it stops at 2·2⁻²⁴, never at 0."""
    found = half_precision(key, seeds=3, depth=100, layers=8, width=32)
    narrow, wide = (found.dtypes.index(name) for name in ("float16", "bfloat16"))
    assert found.ends()[:, narrow].tolist() == [28, 78]
    assert found.ends(products=True)[:, narrow].tolist() == [28, -1]
    assert found.products[1, narrow, -1] == 2 * 2.0**-24
    assert found.ends()[:, wide].tolist() == [-1, -1]
    lost, infinite = (np.median(share, axis=-1) for share in (found.underflow, found.overflow))
    assert lost[narrow, 0] > 0
    assert infinite[narrow, 0] == 0
    assert (np.diff(lost[narrow]) <= 0).all()
    assert (np.diff(infinite[narrow]) >= 0).all()
    assert infinite[narrow, -1] > 0
    assert (lost + infinite)[narrow].min() < 0.1 * lost[narrow, 0]
    assert (lost + infinite)[wide].max() == 0
    assert len(found.plot().axes) == 2
