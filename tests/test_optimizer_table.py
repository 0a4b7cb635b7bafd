"""The page of optimizers is what the code says: docs/OPTIMIZERS.md."""

import inspect
import re

import pytest

from benchmarks.elsewhere import PEERS, counterpart, defaults
from benchmarks.optimizer_table import PAGE, low_precision, page, state
from benchmarks.paper_defaults import PAPER_DEFAULTS
from jaxopt_notes.optimizers import AGGREGATIONS, OPTIMIZERS, SOLVERS, TRANSFORMS, WRAPPERS

COMMITTED = PAGE.read_text(encoding="utf-8")
AGAIN = "docs/OPTIMIZERS.md is not what the code says now: run python -m benchmarks.optimizer_table"
LIBRARIES = ("optax", "torch")


def without_peers(text):
    """The lines of a page, without the columns of other libraries and the line that names their versions."""
    kept, columns = [], None
    for line in text.splitlines():
        if not line.startswith("|"):
            columns = None
            kept += [] if line.startswith("Compared with") else [line]
            continue
        cells = re.split(r" (?<!\\)\| ", line.strip("| "))
        columns = columns or [not re.match(r"`?(optax|torch)\b", cell) for cell in cells]
        kept.append([cell for cell, keep in zip(cells, columns, strict=True) if keep])
    return [line for line in kept if line]


@pytest.mark.parametrize("registry", [OPTIMIZERS, SOLVERS], ids=["optimizers", "solvers"])
def test_every_optimizer_has_a_row_and_a_section(registry):
    for name in registry:
        assert COMMITTED.count(f"\n| [{name}](#{name}) |") == 1, f"{name}: {AGAIN}"
        assert COMMITTED.count(f"\n### {name}\n") == 1, f"{name}: {AGAIN}"


@pytest.mark.parametrize("registry", [TRANSFORMS, WRAPPERS, AGGREGATIONS], ids=["before", "around", "of"])
def test_every_transform_has_a_row(registry):
    tables = COMMITTED.partition("\n## Transforms")[2]
    for name in registry:
        assert tables.count(f"\n| `{name}` |") == 1, f"{name}: {AGAIN}"


def test_columns_of_ours():
    """Formulas, defaults, bytes and papers, which need no other library."""
    assert without_peers(COMMITTED) == without_peers(page(peers=())), AGAIN


def test_columns_of_others():
    """The whole page, with the versions of optax and torch that it was made with."""
    modules = [pytest.importorskip(name) for name in LIBRARIES]
    versions = [module.__version__.split("+")[0] for module in modules]
    made_with = re.findall(r"\b(?:optax|torch) (\d[\d.]*\d)", COMMITTED)
    if made_with != versions:
        pytest.skip(f"made with {made_with}, installed are {versions}")
    assert page() == COMMITTED, AGAIN


@pytest.mark.full
@pytest.mark.parametrize(
    ("registry", "name", "plain", "bfloat16", "in_8_bits"),
    [
        (OPTIMIZERS, "sgd", "0", "–", "–"),
        (OPTIMIZERS, "adam", "8", "4", "2.03"),  # two moments; a scale of 4 bytes for 256 of one
        (OPTIMIZERS, "amsgrad", "12", "6", "3.05"),
        (OPTIMIZERS, "adafactor", "< 0.01", "< 0.01", "< 0.01"),
        (SOLVERS, "bfgs", "4·n", "–", "–"),  # a matrix
        (SOLVERS, "lbfgs", "92", "–", "–"),  # ten pairs, and the last parameters, gradient and direction
    ],
)
def test_bytes_of_state(registry, name, plain, bfloat16, in_8_bits):
    factory = registry[name]
    found = state(factory), low_precision(factory, "bfloat16"), low_precision(factory, "8bit")
    assert found == (plain, bfloat16, in_8_bits)


def test_papers_give_numbers_for_arguments_that_exist():
    for name, numbers in PAPER_DEFAULTS.items():
        parameters = inspect.signature((OPTIMIZERS | SOLVERS)[name]).parameters
        assert set(numbers) <= set(parameters), name


def test_defaults_of_others():
    """As their documentation has them."""
    optax, torch = (pytest.importorskip(name) for name in LIBRARIES)
    jax_peer, torch_peer = PEERS
    assert jax_peer.find("momentum") == ("optax.sgd", optax.sgd)
    assert jax_peer.find("adopt") == ("optax.contrib.adopt", optax.contrib.adopt)
    assert jax_peer.find("hypergradient") is None
    assert torch_peer.find("adamw") == ("torch.optim.AdamW", torch.optim.AdamW)
    required = inspect.Parameter.empty
    assert counterpart("learning_rate", defaults(optax.sgd)) == ("learning_rate", required)
    numbers = defaults(torch.optim.AdamW)
    assert counterpart("b2", numbers) == ("betas", 0.999)
    assert counterpart("weight_decay", numbers) == ("weight_decay", 0.01)
    assert counterpart("mask", numbers) is None
