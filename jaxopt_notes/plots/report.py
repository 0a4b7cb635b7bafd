"""A search on one page: what it found, in a file that needs no other."""

import base64
import html
import io
import os
import pathlib
from typing import Any

import numpy as np

from jaxopt_notes.plots.contour import plot_contour
from jaxopt_notes.plots.curves import plot_curves
from jaxopt_notes.plots.importance import plot_importance
from jaxopt_notes.plots.lineages import plot_lineages, plot_rungs
from jaxopt_notes.plots.parallel import plot_parallel
from jaxopt_notes.plots.pareto import plot_pareto
from jaxopt_notes.plots.sweep import plot_sweep
from jaxopt_notes.plots.trials import plot_trials
from jaxopt_notes.search.export import faults, show
from jaxopt_notes.search.names import hyperparameters, reserved_columns

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 68rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
figure { margin: 0; background: white; overflow-x: auto; } img { max-width: 100%; height: auto; }
@media (max-width: 40rem) { img { max-width: none; width: 34rem; } }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 2px solid; }
th[aria-sort="ascending"] button::after { content: " ▲"; }
th[aria-sort="descending"] button::after { content: " ▼"; }
"""

# Numbers by value, everything else as text; what is not finite comes last in both orders.
SCRIPT = """
for (const button of document.querySelectorAll("th button")) button.onclick = () => {
  const th = button.parentElement, body = th.closest("table").tBodies[0], i = th.cellIndex;
  const sign = th.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of th.parentElement.cells) other.removeAttribute("aria-sort");
  th.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  const key = row => row.cells[i].dataset.value ?? row.cells[i].textContent;
  const compare = (a, b) => {
    const [x, y] = [key(a), key(b)], [m, n] = [parseFloat(x), parseFloat(y)];
    if (isNaN(m) !== isNaN(n)) return isNaN(m) ? 1 : -1;
    return sign * (isNaN(m) ? x.localeCompare(y) : m - n);
  };
  body.append(...[...body.rows].sort(compare));
};
"""


def write_report(
    results: Any, folder: str | os.PathLike, title: str = "Hyperparameter search"
) -> pathlib.Path:
    """Write a search's results as one HTML page with its pictures inside: it works offline, and in a mail.

    Arguments:
        results: a `Results`.
        folder: made if it does not exist; `index.html` in it is replaced.
        title: of the page.

    Returns:
        The path of the page.

    Raises:
        ImportError: matplotlib is missing.
    """
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        *(f"<p>{html.escape(line)}</p>" for line in _sentences(results)),
    ]
    for heading, picture in _pictures(results):
        parts += [f"<h2>{heading}</h2>", f"<figure>{_inline(picture, heading)}</figure>"]
    parts += ["<h2>All trials</h2>", f'<div class="wide">{_table(results)}</div>']
    page = (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(parts) + f"\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )  # fmt: skip
    path = pathlib.Path(folder) / "index.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


def _sentences(results: Any) -> list[str]:
    n, runs = results.scores.shape
    best = ", ".join(f"{name} = {show(value)}" for name, value in results.best.items())
    lines = [
        f"{n} configurations, {runs} runs each, {results.diverged} of all runs diverged.",
        f"Best: {best}.",
    ]
    lines += faults(results)
    if results.others:
        lines.append(f"On the Pareto front: trials {', '.join(map(str, results.pareto_front()))}.")
    if equal := results.within_error():
        lines.append(f"Within its error, paired over runs: trials {', '.join(map(str, equal))}.")
    return lines + results.edge_warnings()


def _pictures(results: Any) -> list[tuple[str, Any]]:
    searched = hyperparameters(results)
    many = len(results) >= 10 and bool(searched)  # of fewer, shares are noise
    found = [
        ("Scores by hyperparameter", plot_sweep(results, by_importance=many)),
        ("Scores by trial", plot_trials(results)),
    ]
    if results.others:
        found.insert(0, ("Compromises", plot_pareto(results)))
    if many:
        found.append(("Importance", plot_importance(results, pairs=3 if len(results) >= 30 else 0)))
    if searched:
        found.append(("All hyperparameters at once", plot_parallel(results)))
    if len(searched) > 1:
        found.append(("The two that matter most", plot_contour(results)))
    found += _lines(results)
    if results.history:
        curves = {name: curve[results.order[0]] for name, curve in results.history.items()}
        found.append(
            (
                "The best configuration while it trained",
                plot_curves(curves, monitor=results.monitor, mode=results.mode),
            )
        )
    return found


def _lines(results: Any) -> list[tuple[str, Any]]:
    """Of runs that go on from others: rungs where hyperparameters stay, lineages where they change."""
    parents = np.asarray(reserved_columns(results).get("parent", []), int)
    children = np.flatnonzero(parents >= 0)
    if not len(children):
        return []
    columns = [np.asarray(column) for column in hyperparameters(results).values()]
    if all((column[children] == column[parents[children]]).all() for column in columns):
        return [("Rungs", plot_rungs(results))]
    return [("Lineages", plot_lineages(results))]


def _inline(picture: Any, text: str) -> str:
    buffer = io.BytesIO()
    picture.savefig(buffer, format="png", dpi=110)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(text)}" src="data:image/png;base64,{data}">'


def _table(results: Any) -> str:
    rows = results.rows()

    def cell(value: Any) -> str:
        number = isinstance(value, int | float) and np.isfinite(value)
        exact = f' data-value="{value}"' if number else ""
        return f"<td{exact}>{html.escape(show(value))}</td>"

    head = "".join(f'<th scope="col"><button>{html.escape(name)}</button></th>' for name in rows[0])
    body = "\n".join(f"<tr>{''.join(map(cell, row.values()))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
