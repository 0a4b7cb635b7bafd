import pytest

from jaxopt_notes.diagnostics import diagnose_fit


@pytest.mark.notes("S0-09", "S2-55", "S2-63", "S2-64", "S3-31")
@pytest.mark.parametrize(
    ("train", "valid", "label", "first"),
    [
        (0.015, 0.017, "right fit", None),
        (0.123, 0.114, "under-fitting", "larger or better suited model"),
        (0.012, 0.131, "over-fitting", "more data"),
        (0.123, 0.215, "under- and over-fitting", "larger or better suited model"),
        (0.01, 0.10, "over-fitting", "more data"),  # 99 % and 90 %
        (0.001, 0.20, "over-fitting", "more data"),  # 99.9 % and 80 %
    ],
)
def test_the_four_cases_of_the_notes(train, valid, label, first):
    found = diagnose_fit(train, valid)
    assert found.label == label
    assert (found.high_bias, found.high_variance) == ("under" in label, "over-" in label)
    assert (first in found.advice[0]) if first else found.advice == ()
    assert found.bias == pytest.approx(train)
    assert found.gap == pytest.approx(valid - train)


def test_the_target_and_the_tolerances_decide():
    assert diagnose_fit(0.123, 0.13, target=0.1).label == "right fit"
    assert diagnose_fit(0.123, 0.13, target=0.1, bias_tolerance=0.01).label == "under-fitting"
    assert diagnose_fit(0.123, 0.13, target=0.1, variance_tolerance=0.001).label == "over-fitting"
    both = diagnose_fit(0.5, 0.9).advice
    assert both == diagnose_fit(0.5, 0.5).advice + diagnose_fit(0.0, 0.4).advice
    with pytest.raises(ValueError, match=r"diagnose_fit\(bias_tolerance\) is -1"):
        diagnose_fit(0.1, 0.1, bias_tolerance=-1)
    with pytest.raises(ValueError, match=r"diagnose_fit\(valid_error\) is nan"):
        diagnose_fit(0.1, float("nan"))
