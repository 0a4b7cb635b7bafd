"""The zoom line search: how far to go along a direction, by the strong Wolfe conditions.

A step must lower the loss by a share of what its slope promised (Armijo), and leave a slope that is
flatter than the first one (curvature): then the step is neither too long nor too short, and sᵀy > 0, so
that BFGS keeps its matrix positive. The search lengthens the step until a good one is bracketed and
then shrinks the bracket by interpolation. It is one bounded loop that evaluates the loss once a round,
so a batch of searches takes as many rounds as its slowest member.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, as_hyperparameter
from jaxopt_notes.numerics import power_of_two, precise_vdot
from jaxopt_notes.optimizers.solvers.bounded_loop import bounded_loop
from jaxopt_notes.record import Number, check_count, check_number, record, static

PATIENCE = 10  # rounds that go the same way before the factor between steps grows


class Trial(NamedTuple):
    """A point on the line: how far it is, and the loss and its slope there."""

    step: jax.Array
    value: jax.Array
    slope: jax.Array


class Found(NamedTuple):
    """Where a search ended: step, loss, gradient [n], rounds, and by how much each condition fails."""

    step: jax.Array
    value: jax.Array
    grad: jax.Array
    num_linesearch_steps: jax.Array
    decrease_error: jax.Array
    curvature_error: jax.Array


class _Search(NamedTuple):
    last: Found
    low: Trial  # the best end of the bracket; before there is one, the last trial
    high: Trial
    third: Trial  # the end that was given up last, for the cubic
    safe: Found  # the best trial that satisfies the first condition
    bracketed: jax.Array
    done: jax.Array
    over: jax.Array


@record
class Zoom:
    """See `zoom`."""

    slope_rtol: Number
    curv_rtol: Number
    increase_factor: Number
    max_learning_rate: Number
    tol: Number
    approx_dec_rtol: Number | None
    stepsize_precision: Number
    max_linesearch_steps: int = static()

    def search(
        self,
        function: Callable[[jax.Array], tuple[jax.Array, jax.Array]],
        point: jax.Array,
        direction: jax.Array,
        value: jax.Array,
        grad: jax.Array,
        guess: Number = 1.0,
    ) -> Found:
        """Search along `point + step·direction`.

        Arguments:
            function: from a point [n] to the loss and its gradient [n].
            point, direction: [n]; the direction should lead downwards. Its length may be anything.
            value, grad: what the function gives at the point.
            guess: the first step tried. Right steps may be 10³⁰ times longer or shorter: after a few
                rounds that all went the same way the factor from one to the next grows.

        Returns:
            The step taken and what was found there. A search that fails takes the best step that
            lowered the loss enough, or none (step 0): never one that does not.
        """
        kind = point.dtype
        c1, c2, factor, longest, tol, precision = (
            as_hyperparameter(number).astype(kind)
            for number in (
                self.slope_rtol, self.curv_rtol, self.increase_factor, self.max_learning_rate, self.tol,
                self.stepsize_precision,
            )
        )  # fmt: skip
        unit = power_of_two(jnp.max(jnp.abs(direction), initial=0.0))
        direction = direction / unit  # or slopes would underflow, which are of the order of |gradient|²
        guess, longest = (
            jnp.asarray(guess).astype(kind) * unit,
            jnp.minimum(longest * unit, 1e-4 * jnp.finfo(kind).max),
        )
        slope = precise_vdot(grad, direction)
        zero, unknown = jnp.zeros((), kind), jnp.full((), jnp.inf, kind)

        noise = 4 * jnp.finfo(kind).eps * jnp.abs(value)  # a fall of less is none, if the slope got steeper
        rounding = zero
        if self.approx_dec_rtol is not None:
            rounding = as_hyperparameter(self.approx_dec_rtol).astype(kind) * jnp.abs(value)

        def errors(new: Trial) -> tuple[jax.Array, jax.Array]:
            decrease = new.value - value - c1 * new.step * slope
            curvature = jnp.abs(new.slope) - c2 * jnp.abs(slope)
            if self.approx_dec_rtol is not None:
                # Near the minimum differences of values are rounding errors; slopes still tell.
                rise = new.value - value - rounding
                decrease = jnp.minimum(decrease, jnp.maximum(new.slope - (2 * c1 - 1) * slope, rise))
            found = decrease, curvature
            return tuple(jnp.where(jnp.isnan(x), unknown, jnp.maximum(x, 0)) for x in found)  # type: ignore[return-value]

        def body(s: _Search) -> _Search:
            count = s.last.num_linesearch_steps
            faster = factor ** jnp.maximum(2 * (count - PATIENCE), 1).astype(kind)
            longer = jnp.minimum(jnp.where(count == 0, guess, faster * s.last.step), longest)
            within = interpolate(s.low, s.high, s.third)
            within = jnp.where((s.low.step == 0) & (count > PATIENCE), shrink(s.low, s.high, count), within)
            step = jnp.where(s.bracketed, within, longer)
            new_value, new_grad = function(point + step * direction)
            new = Trial(step, new_value, precise_vdot(new_grad, direction))
            decrease_error, curvature_error = errors(new)
            found = Found(step, new_value, new_grad, count + 1, decrease_error, curvature_error)
            enough = decrease_error <= tol
            good = enough & (curvature_error <= tol)
            seen = (value - new.value > noise) | (jnp.abs(new.slope) <= jnp.abs(slope))
            better = enough & seen & (~s.bracketed | (new.value < s.safe.value))

            # A step too short to be seen in the value says by its slope that it is.
            unseen = ~s.bracketed & (new.value == s.low.value) & (new.slope <= c2 * slope)
            raised = (new.value >= s.low.value) & (s.bracketed | (count > 0)) & ~unseen
            too_far = (decrease_error > 0) | raised
            ahead = jnp.where(s.bracketed, s.high.step - s.low.step, jnp.ones_like(step))
            beyond = ~too_far & (new.slope * ahead >= 0)  # the minimum lies between here and `low`
            bracketed = s.bracketed | too_far | beyond
            high = pick(too_far, new, pick(beyond, s.low, s.high))
            low = pick(too_far, s.low, new)
            third = pick(s.bracketed, pick(too_far | beyond, s.high, s.low), low)
            safe = pick(better, found, s.safe)
            done = good | (~bracketed & (step >= longest))
            width = precision * jnp.maximum(s.low.step, s.high.step)
            narrow = s.bracketed & (jnp.abs(s.high.step - s.low.step) <= width) & (safe.step > 0)
            over = done | narrow | (count + 1 >= self.max_linesearch_steps)
            return _Search(found, low, high, third, safe, bracketed, done, over)

        start = Trial(zero, value, slope)
        none = Found(zero, value, grad, jnp.zeros((), jnp.int32), unknown, unknown)
        no = jnp.zeros((), bool)
        begin = _Search(none, start, start, start, none, no, no, no)
        end = bounded_loop(lambda s: ~s.over, body, begin, self.max_linesearch_steps)
        taken = pick(end.done, end.last, end.safe)
        return taken._replace(step=taken.step / unit, num_linesearch_steps=end.last.num_linesearch_steps)


def pick(condition: jax.Array, yes: Tree, no: Tree) -> Tree:
    """`jnp.where` of tuples of arrays."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


def shrink(low: Trial, high: Trial, count: jax.Array) -> jax.Array:
    """The next trial where all `count` trials were much too long: a parabola's if that is far below them.

    Else 2⁻³, 2⁻⁵, … of the last one, so that twenty rounds reach 10⁻³² of the first.
    """
    shortest = high.step * 0.5 ** (2 * (count - PATIENCE) + 1).astype(high.step.dtype)
    minimum, exists = _parabola(low, high)
    return jnp.where(exists & (minimum > shortest) & (minimum < 0.1 * high.step), minimum, shortest)


def interpolate(low: Trial, high: Trial, third: Trial) -> jax.Array:
    """The next trial within a bracket: the cubic's minimum, else the parabola's, else the middle.

    The cubic has the slope of `low` and the three values, the parabola that slope and two values; a
    minimum too near to an end (a fifth of the width for the cubic, a tenth for the parabola) is refused.
    """
    left, right = jnp.minimum(low.step, high.step), jnp.maximum(low.step, high.step)
    width = right - left
    step = (low.step + high.step) / 2
    for (minimum, exists), edge in ((_parabola(low, high), 0.1), (_cubic(low, high, third), 0.2)):
        inside = exists & (minimum > left + edge * width) & (minimum < right - edge * width)
        step = jnp.where(inside, minimum, step)
    return step


def _rise(a: Trial, b: Trial) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Distance of `b`, how much its value lies above the tangent at `a`, and whether that is known."""
    known = jnp.isfinite(b.value)
    distance = b.step - a.step
    return distance, jnp.where(known, b.value, a.value) - a.value - a.slope * distance, known


def _parabola(a: Trial, b: Trial) -> tuple[jax.Array, jax.Array]:
    distance, rise, known = _rise(a, b)
    exists = known & (rise != 0)
    promised = a.slope * distance
    return a.step - distance * (promised / (2 * jnp.where(exists, rise, jnp.ones_like(rise)))), exists


def _cubic(a: Trial, b: Trial, c: Trial) -> tuple[jax.Array, jax.Array]:
    """In units of the first distance and of what the slope promises there, or numbers over- and underflow."""
    (p, rise_b, known_b), (q, rise_c, known_c) = _rise(a, b), _rise(a, c)
    one = jnp.ones_like(p)
    promised = a.slope * p
    exists = known_b & known_c & (p != 0) & (q != 0) & (p != q) & (promised != 0)
    p, q = jnp.where(exists, p, one), jnp.where(exists, q, 2 * one)
    promised, ratio = jnp.where(exists, promised, one), q / p
    rise_b, rise_c = rise_b / promised, rise_c / promised
    third = (rise_c / ratio**2 - rise_b) / (ratio - 1)  # 1·x + second·x² + third·x³
    second = rise_b - third
    radical = second**2 - 3 * third
    exists = exists & (radical > 0) & (third != 0)
    root = jnp.sqrt(jnp.where(exists, radical, one)) * jnp.sign(promised)
    return a.step + p * (root - second) / (3 * jnp.where(exists, third, one)), exists


def zoom(
    max_linesearch_steps: int = 20,
    *,
    slope_rtol: Number = 1e-4,
    curv_rtol: Number = 0.9,
    increase_factor: Number = 2.0,
    max_learning_rate: Number = float("inf"),
    tol: Number = 0.0,
    approx_dec_rtol: Number | None = 1e-6,
    stepsize_precision: Number = 1e-5,
) -> Zoom:
    """A line search for the strong Wolfe conditions: bracket, then zoom.

        f(x + ηd) ≤ f(x) + c₁·η·∇f(x)ᵀd          |∇f(x + ηd)ᵀd| ≤ c₂·|∇f(x)ᵀd|

    Arguments:
        max_linesearch_steps: evaluations of the loss at most, ≥ 1; static.
        slope_rtol: c₁ in [0, 1), the share of the promised decrease.
        curv_rtol: c₂ ≥ c₁; 0.9 for Newton and quasi-Newton directions, 0.1 for gradients and conjugate
            ones, `inf` for the first condition alone.
        increase_factor: > 1, how much longer each step is until the minimum is bracketed.
        max_learning_rate: the longest step.
        tol: ≥ 0, by how much a condition may fail.
        approx_dec_rtol: ε ≥ 0: a step that raises f by at most ε|f| also passes the first condition, if
            its slope is at most (2c₁ − 1)·∇f(x)ᵀd. Single precision needs it near the minimum. `None`
            is the first condition alone.
        stepsize_precision: a bracket narrower than this share of its far end is given up.

    Returns:
        A `Zoom` record for `line_search`, `lbfgs` and `bfgs`; `Zoom.search` is the search itself.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> found = zoom().search(jax.value_and_grad(lambda x: jnp.sum((x - 3) ** 2)), jnp.zeros(1),
        ...                       jnp.ones(1), jnp.array(9.0), -6.0 * jnp.ones(1))
        >>> float(found.step)
        1.0

    Source: Nocedal & Wright 2006, algorithms 3.5 and 3.6; Hager & Zhang 2006, equations 22 and 27.

    Elsewhere: `optax.scale_by_zoom_linesearch` has the same rounds and defaults. A search of it that
    fails takes its last trial even if the loss rises there; and under `vmap` each of its rounds
    evaluates the loss twice, here once. It has no reverse-mode gradient, its steps grow and shrink by the
    same factor however far off they are, and `stepsize_precision` is absolute.
    """
    check = check_number
    return Zoom(
        check("zoom(slope_rtol)", slope_rtol, "[0, 1)", "the usual value is 1e-4"),
        check("zoom(curv_rtol)", curv_rtol, "[0, inf]", "the usual values are 0.1 and 0.9"),
        check("zoom(increase_factor)", increase_factor, "(1, inf)", "the usual value is 2"),
        check("zoom(max_learning_rate)", max_learning_rate, "(0, inf]", "inf is no bound"),
        check("zoom(tol)", tol, "[0, inf)"),
        None if approx_dec_rtol is None else check("zoom(approx_dec_rtol)", approx_dec_rtol, "[0, inf)"),
        check("zoom(stepsize_precision)", stepsize_precision, "[0, inf)"),
        check_count("zoom(max_linesearch_steps)", max_linesearch_steps, 1),
    )
