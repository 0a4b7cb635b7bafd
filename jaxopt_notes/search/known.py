"""What is known before a search begins: configurations to try first, and results of an earlier search.

Known configurations take the places of the first fresh ones that a strategy asks for, with the epochs that it
gives them; a strategy that learns is told of them as if it had asked for these. Results of an earlier search
are told to a strategy before it is asked for anything, and nothing of them is trained again.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.masks import path_name
from jaxopt_notes.population import fingerprint
from jaxopt_notes.record import Number, replace
from jaxopt_notes.search.names import hyperparameters, reserved_names
from jaxopt_notes.search.ranking import Ranking
from jaxopt_notes.search.rule import Rule, violations_of
from jaxopt_notes.search.spaces.choices import StaticChoice
from jaxopt_notes.search.spaces.distributions import Distribution
from jaxopt_notes.search.spaces.space import Configs, Space, dimensions
from jaxopt_notes.search.strategies.trials import Trials, amend_trials

Row = dict[str, Any]  # name → number; of a static choice its position
WINNERS = 5  # of an earlier search, if all its results are given


class Queue:
    """Known configurations on their way into the batches of a strategy.

    Arguments:
        strategy: whose batches they are.
        space: the search space.
        rows: as `read_rows` returns them; what they leave out stays as the strategy drew it.
    """

    def __init__(self, strategy: Any, space: Space, rows: list[Row]):
        self.strategy, self.rows = strategy, rows
        self._parent = reserved_names(dimensions(space))["parent"]

    def check(self, where: str, state: Tree) -> None:
        """Refuse known configurations that the strategy has no places for.

        Raises:
            TypeError: it learns from what it drew itself, or has none to spare. ValueError: there are more of
                them than it asks for in all.
        """
        if not self.rows:
            return
        n, blind = getattr(self.strategy, "n", None), getattr(self.strategy, "objectives", 1) is None
        if not (hasattr(self.strategy, "amend") or isinstance(state, Trials) or (blind and n is not None)):
            raise TypeError(
                f"{where}(enqueue) needs a strategy with places for known configurations, and "
                f"{type(self.strategy).__name__} has none: random_search, sobol, bayesian, nsga2, cma_es, "
                "successive_halving and asha have."
            )
        if isinstance(n, int) and len(self.rows) > n:
            raise ValueError(
                f"{where}(enqueue) has {len(self.rows)} configurations, and the strategy asks for {n} in all."
            )

    def fill(self, configs: Configs, state: Tree, before: int) -> tuple[Configs, Tree]:
        """A batch just asked for, and the strategy's state behind it, with known ones in the fresh places.

        Arguments:
            configs, state: as `ask` returned them.
            before: fresh configurations in earlier batches.
        """
        rows = self.rows[before:]
        if not rows:
            return configs, state
        columns = {name: np.array(column) for name, column in configs.items()}
        n = len(next(iter(columns.values())))
        places = np.flatnonzero(columns.get(self._parent, np.full(n, -1)) < 0)[: len(rows)]
        for place, row in zip(places, rows, strict=False):
            for name, value in row.items():
                columns[name][place] = value
        return columns, amended(self.strategy, state, columns, places)


def amended(strategy: Any, state: Tree, configs: Configs, places: np.ndarray) -> Tree:
    """A strategy's state as if it had asked for `configs` in its last batch, which differ at some places."""
    if hasattr(strategy, "amend"):
        return strategy.amend(state, configs, places)
    return amend_trials(state, configs) if isinstance(state, Trials) else state


def read_rows(where: str, given: Any, space: Space) -> list[Row]:
    """Known configurations as rows: a dict, a list of them, a dict of columns, a table, or `Results`.

    Raises:
        TypeError, ValueError: something else, a name that the space does not have, or a value outside it.

    Example:
        >>> from jaxopt_notes.search import log_uniform, static_choice
        >>> space = {"rate": log_uniform(1e-4, 1e-1), "width": static_choice([32, 64]), "depth": 2}
        >>> read_rows("sweep(enqueue)", [{"rate": 0.01, "width": 64}, {"rate": 0.02, "depth": 2}], space)
        [{'rate': 0.01, 'width': 1}, {'rate': 0.02}]
    """
    if given is None:
        return []
    if isinstance(given, Ranking):
        kept = hyperparameters(given)
        rows: Any = [{n: column[i] for n, column in kept.items()} for i in given.ranked()[:WINNERS]]
    elif isinstance(given, Mapping) or hasattr(given, "columns"):
        columns = {str(n): given[n] for n in (given if isinstance(given, Mapping) else given.columns)}
        many = [np.ndim(column) == 1 and not isinstance(column, tuple) for column in columns.values()]
        if all(many) and columns:
            lengths = {name: len(column) for name, column in columns.items()}
            if len(set(lengths.values())) > 1:
                raise ValueError(f"{where} has columns of different lengths, {lengths}: expected one length.")
            rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        else:
            rows = [given]
    else:
        rows = given
    if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping) for row in rows):
        raise TypeError(
            f'{where} is {given!r}, expected configurations: [{{"rate": 0.01}}, …], a dict of columns, a '
            "table, or the Results of another sweep, whose best are taken."
        )
    return [_read_row(where, row, space) for row in rows]


def _read_row(where: str, given: Mapping[str, Any], space: Space) -> Row:
    axes, row = dimensions(space), {}
    leaves = jax.tree.leaves_with_path(space, is_leaf=lambda leaf: isinstance(leaf, Distribution))
    constants = {path_name(path): leaf for path, leaf in leaves if not isinstance(leaf, Distribution)}

    def read(prefix: str, node: Mapping[str, Any]) -> None:
        for key, value in node.items():
            name = f"{prefix}{key}"
            if name in axes:
                row[name] = _number(where, name, value, axes[name])
            elif name in constants:
                if not np.array_equal(value, constants[name]):
                    raise ValueError(
                        f"{where} has {value!r} for {name!r}, which the space holds at {constants[name]!r}: "
                        "leave it out, or search over it."
                    )
            elif isinstance(value, Mapping):
                read(f"{name}/", value)
            elif not any(other.startswith(f"{name}/") for other in constants):
                raise ValueError(f"{where} has {name!r}, expected names of the space: {', '.join(axes)}.")

    read("", given)
    return row


def _number(where: str, name: str, value: Any, axis: Distribution) -> Number:
    """A value of an axis as columns have it."""
    if isinstance(axis, StaticChoice):
        found = [i for i, known in enumerate(axis.values) if known is value or known == value]
        if not found:
            raise ValueError(f"{where} has {value!r} for {name!r}, expected one of {axis.values!r}.")
        return found[0]
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number | jax.Array):
        raise TypeError(f"{where} has {value!r} for {name!r}, expected a number of {axis!r}.")
    if np.isnan(axis.to_unit(np.asarray([value], float))[0]):
        raise ValueError(f"{where} has {value!r} for {name!r}, which is outside {axis!r}.")
    return value.item() if hasattr(value, "item") else value


class Observations:
    """The results of an earlier search in the form in which a strategy is told of them.

    Arguments:
        configs: columns [n].
        costs: [n, monitors], minimized.
        violations: [n].
    """

    def __init__(self, configs: Configs, costs: np.ndarray, violations: np.ndarray):
        self.configs, self.costs, self.violations = configs, costs, violations

    @property
    def words(self) -> str:
        """Equal for equal observations."""
        return fingerprint.of_tree((self.configs, self.costs, self.violations))

    def __len__(self) -> int:
        return len(self.costs)

    def tell(self, strategy: Any, state: Tree, key: jax.Array) -> Tree:
        """The strategy's first state with all of them told; the strategy has room for them."""
        _, state = strategy.ask(state, key, len(self))
        state = amended(strategy, state, self.configs, np.arange(len(self)))
        if getattr(strategy, "minds_constraints", False):
            return strategy.tell(state, self.configs, self.costs, self.violations)
        return strategy.tell(state, self.configs, np.where(self.violations > 0, np.nan, self.costs[:, 0]))


def observations(where: str, results: Any, space: Space, rule: Rule) -> Observations:
    """What another search, of the same space and the same monitors, has found.

    Raises:
        TypeError: no `Results`. ValueError: other hyperparameters or monitors, or a value outside the space.
    """
    if not isinstance(results, Ranking):
        raise TypeError(f"{where} is {results!r}, expected the Results of another sweep.")
    wanted = dict(zip(rule.monitors, rule.modes, strict=True))
    if results.monitors != wanted:
        raise ValueError(f"{where} has the monitors {results.monitors}, expected those here: {wanted}.")
    if missing := [name for name in rule.constraints if name not in results.means]:
        raise ValueError(
            f"{where} has no {missing[0]!r}, which has a bound here: bound or monitor it there, too."
        )
    axes, columns = dimensions(space), hyperparameters(results)
    if set(columns) != set(axes):
        raise ValueError(
            f"{where} has {', '.join(columns)}, expected what is searched here: {', '.join(axes)}."
        )
    chosen = sorted(results.ranked())
    configs = {
        name: np.asarray([_number(where, name, columns[name][i], axis) for i in chosen])
        for name, axis in axes.items()
    }
    bounds = violations_of(results.means, rule.constraints, len(results))
    return Observations(configs, results.costs[chosen], bounds[chosen])


def with_room(where: str, strategy: Any, count: int) -> Any:
    """The strategy with room for so many observations beside what it asks for.

    Raises:
        TypeError: it cannot learn from what it has not asked for.
    """
    if not getattr(strategy, "takes_observations", False):
        raise TypeError(
            f"{where} needs a strategy that learns from runs it has not asked for, and "
            f"{type(strategy).__name__} does not: bayesian and nsga2 do; or enqueue=results trains the best "
            "of them first."
        )
    return replace(strategy, n=strategy.n + count)
