"""What a sweep is given is checked before anything is built, traced or trained, and errors name it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.search import csv_logger, hypergradient_search

DATA = ((jnp.ones((4, 1)), jnp.ones(4)), (jnp.ones((2, 1)), jnp.ones(2)))
SPACE = {"rate": jn.uniform(0.0, 1.0)}


def never(*_):
    raise AssertionError("something was built before the arguments were checked")


def run(**changed):
    arguments = {"build": never, "space": SPACE, "data": DATA, "strategy": jn.random_search(2),
                 "key": jax.random.key(0), "progress": False} | changed  # fmt: skip
    return jn.sweep(**arguments)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"foo": 3}, r"sweep\(\) has no argument 'foo'.* batch_size"),
        ({"bach_size": 3}, r"sweep\(\) has no argument 'bach_size': did you mean 'batch_size'\?"),
        ({"epoch": 3}, r"sweep\(\) has no argument 'epoch': did you mean 'epochs'\?"),
        ({"build": 3}, r"sweep\(build\) is 3, expected a function"),
        ({"strategy": jn.random_search}, r"sweep\(strategy\) is .*call it: random_search\(\.\.\.\)"),
        ({"strategy": "random"}, r"sweep\(strategy\) is 'random', expected a search strategy"),
        ({"key": 0}, r"sweep\(key\) is 0, expected one typed random key: jax\.random\.key\(0\)"),
        ({"key": "split"}, r"sweep\(key\) is key<fry>\[2\], expected one typed random key"),
        ({"progress": "yes"}, r"sweep\(progress\) is 'yes', expected True, False, None, or a function"),
        ({"progress": lambda: 0}, r"sweep\(progress\) is <lambda>\(\), expected a function"),
        ({"keep_states": "yes"}, r"sweep\(keep_states\) is 'yes', expected one of False, True"),
        ({"devices": 3}, r"sweep\(devices\) is 3, expected jax\.local_devices"),
        ({"on_chunk": 1}, r"sweep\(on_chunk\) is 1, expected a function"),
        ({"space": None}, r"sweep\(space\) is None, expected a dict"),
        ({"space": {"rate": jn.uniform}}, r"has <function uniform .*> as 'rate', expected a distribution"),
        ({"logger": csv_logger}, r"sweep\(logger\) is the class csv_logger, expected a logger: csv_logger\("),
        ({"logger": "log.csv"}, r"sweep\(logger\) is 'log\.csv', expected an object with log"),
        ({"folder": 3}, r"sweep\(folder\) is 3, expected a path"),
        ({"chunk_size": "large"}, r"sweep\(chunk_size\) is 'large', expected a whole number"),
        ({"programs": 3}, r"sweep\(programs\) is 3, expected jn\.search\.Programs\(\)"),
        ({"data": DATA[0][0]}, r"sweep\(data\) must be \(train, validation\)"),
        ({"segment": 0}, r"sweep\(segment\) is 0"),
        ({"devices": []}, r"sweep\(devices\) is \[\], expected jax\.local_devices\(\), or some of them"),
        ({"data": DATA[0], "folds": 2, "preprocess": 3}, r"sweep\(preprocess\) is 3, expected a function"),
        ({"at": "first"}, r"sweep\(at\) is 'first', expected one of 'best', 'last'"),
        ({"monitor": 3}, r"sweep\(monitor\) is 3, expected a name of the history"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_named_before_anything_is_built(changed, message):
    if changed == {"key": "split"}:
        changed = {"key": jax.random.split(jax.random.key(0))}
    with pytest.raises((TypeError, ValueError), match=message):
        run(**changed)


def test_hypergradient_search_names_its_arguments():
    with pytest.raises(
        TypeError, match=r"hypergradient_search\(\) has no argument 'bach_size': did you mean"
    ):
        hypergradient_search(never, SPACE, key=jax.random.key(0), bach_size=3)
    with pytest.raises(TypeError, match=r"hypergradient_search\(key\) is 0"):
        hypergradient_search(never, SPACE, key=0)
    with pytest.raises(TypeError, match=r"hypergradient_search\(score\) is 1"):
        hypergradient_search(1, SPACE, key=jax.random.key(0))


def dense(rate):
    return jn.Trainer(jn.dense(1), jn.sgd(rate), jn.mean_squared_error, metric=None)


def wide(h):
    return jn.Trainer(jn.mlp([h["net"]["width"], 1]), jn.sgd(h["rate"]), jn.mean_squared_error, metric=None)


def branching(h):
    return jn.Trainer(
        jn.dense(1), jn.sgd(0.1) if h["rate"] > 0.5 else jn.adam(0.1), jn.mean_squared_error, metric=None
    )


ROWS = ((jnp.ones((4, 1)), jnp.ones((4, 1))),) * 2


@pytest.mark.parametrize(
    ("build", "space", "message"),
    [
        (
            wide, {"net": {"width": jn.integers(4, 6)}, "rate": jn.uniform(0.0, 1.0)},
            r"needs the value of h\['net'\]\['width'\] .*'net/width': jn\.static_choice\(\[4, 5\]\)",
        ),
        (
            wide, {"net": {"width": jn.choice([4, 8])}, "rate": 0.1},
            r"needs the value of h\['net'\]\['width'\] .*jn\.static_choice\(\[4, 8\]\)",
        ),
        (
            branching, {"rate": jn.uniform(0.0, 1.0)},
            r"needs the value of h\['rate'\] .*jn\.static_choice\(\[0, 0\.5, 1\]\).*jnp\.where",
        ),
        (
            lambda h: dense(h["rate"]), {"rate": [0.1, 0.2], "x": jn.uniform(0.0, 1.0)},
            r"'rate' is the list \[0\.1, 0\.2\], .*jn\.choice\(\[0\.1, 0\.2\]\) searches over its values",
        ),
        (lambda h: dense(h["rate"]), {"rate": [0.1, 0.2]}, r"jn\.choice\(\[0\.1, 0\.2\]\) searches"),
        (
            lambda h: jn.Trainer(jn.mlp([4, 1]), jn.adam(h["rate"]), jn.mean_squared_error, metric=None),
            {"rate": np.logspace(-3, -1, 3).astype(np.float32)},
            r"'rate' is the array \[0\.001, 0\.01, 0\.1\], .*jn\.choice\(\[0\.001, 0\.01, 0\.1\]\) searches",
        ),
        (
            lambda h: dense(h["rate"]), {"rate": (0.1, 0.2)},
            r"is the tuple \(0\.1, 0\.2\), .*jn\.uniform\(0\.1, 0\.2\) or jn\.log_uniform.* between the two",
        ),
        (
            lambda h: dense({"slow": 0.1, "fast": 0.2}[h["kind"]]), {"kind": ["slow", "fast"]},
            r"'kind' is the list \['slow', 'fast'\], .*jn\.static_choice\(\['slow', 'fast'\]\)",
        ),
        (lambda h: None, {"rate": jn.uniform(0.0, 1.0)}, r"sweep\(build\) returned None, expected a Trainer"),
        (
            lambda h: dense(h["rate"].item()), {"rate": jn.uniform(0.0, 1.0)},
            r"needs the value of h\['rate'\]",
        ),
    ],
    ids=["integers", "choice", "if", "list", "only a list", "array", "tuple", "names", "no trainer", "item"],
)  # fmt: skip
def test_a_build_that_cannot_be_traced_is_explained_by_the_space(build, space, message):
    with pytest.raises(TypeError, match=message):
        run(build=build, space=space, data=ROWS)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda h: dense(h["rat"]), r"sweep\(build\) reads h\['rat'\], .* did you mean h\['rate'\]\?$"),
        (lambda h: dense(h["net"]["z"]), r"reads h\['net'\]\['z'\], expected one of 'width'\.$"),
        (lambda h: dense(h.rate), r"reads h\.rate, and h is a dict: h\['rate'\]\.$"),
    ],
)
def test_a_build_that_asks_for_a_name_that_is_not_there_is_told_which_are(build, message):
    with pytest.raises(ValueError, match=message):
        run(build=build, space={"rate": jn.uniform(0.0, 1.0), "net": {"width": 3}}, data=ROWS)


def test_functions_with_other_arguments_are_refused():
    with pytest.raises(TypeError, match=r"sweep\(build\) is never\(h, key\), exp.*build\(configuration\)"):
        run(build=lambda_of("never"))
    with pytest.raises(TypeError, match=r"sweep\(on_chunk\) is .*expected .*on_chunk\(members, conf"):
        run(on_chunk=lambda members: None)


def lambda_of(name):
    def function(h, key):
        raise AssertionError

    function.__name__ = name
    return function


def test_runs_without_a_finite_loss_are_said():
    """As NaN among the inputs make them, which a step that is not taken does not show in the score."""
    spoilt = ((ROWS[0][0].at[0].set(jnp.nan), ROWS[0][1]), ROWS[1])
    with pytest.warns(UserWarning, match=r"sweep: 'loss' is not finite in the first epoch of any run"):
        results = run(build=lambda h: dense(h["rate"]), data=spoilt)
    assert np.isfinite(results.scores).all()
    assert "'loss' is not finite" in str(results)


def test_what_ranks_configurations_is_one_number():
    def build(h):
        both = lambda step: {"both": jnp.ones(2)}  # noqa: E731
        return jn.Trainer(jn.dense(1), jn.sgd(h["rate"]), jn.mean_squared_error, metric=None, collect=both)

    for watched in ({"monitor": "both"}, {"constraints": {"both": 1.0}}):
        with pytest.raises(ValueError, match=r"'both' has shape \(2,\) after an epoch, expected one number"):
            run(build=build, data=ROWS, **watched)


def test_an_error_that_is_the_builds_own_stays_what_it_is():
    def build(h):
        raise LookupError("my own")

    with pytest.raises(LookupError, match="my own"):
        run(build=build, data=ROWS)
    with pytest.raises(KeyError, match="own"):
        run(build=lambda h: {}["own"], data=ROWS)


def test_every_structure_is_traced_before_the_first_is_trained():
    trained = []

    def build(h):
        if h["kind"] == "bad":
            raise ValueError("no such kind")
        metric = jn.mean_squared_error if h["kind"] == "named" else None
        return jn.Trainer(jn.dense(1), jn.sgd(h["rate"]), jn.mean_squared_error, metric=metric)

    def fails(kinds, message, **options):
        space = {"kind": jn.static_choice(kinds), "rate": jn.choice([0.1])}
        with pytest.raises(ValueError, match=message):
            run(build=build, space=space, data=ROWS, strategy=jn.grid_search(),
                on_chunk=lambda *chunk: trained.append(chunk), **options)  # fmt: skip
        assert trained == []

    fails(["good", "bad"], "no such kind")
    named = {"monitor": "valid_mean_squared_error"}
    fails(
        ["named", "plain"], r"sweep\(monitor\) is 'valid_mean_squared_error', expected one of loss", **named
    )
