"""Figures of tests that compare with an independent reference, and their table.

They are kept in a file by the case that found them: a run replaces those of its own
cases, takes away those of cases that fail, and leaves the others, each with its day.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

TESTS = Path(__file__).parents[1]
KEPT = TESTS / "models" / "figures.json"
PAGE = TESTS.parent / "docs" / "models.md"

_START = "<!-- What pytest --table wrote; figures.json has what it is made of. -->\n"
_END = "<!-- The end of the table. -->\n"

_COMMON = 0.5
"""A quantization that fewer models were tried in than this share has no column."""


@dataclass(frozen=True)
class Figure:
    """What a case found for a model and a quantization.

    Attributes:
        what: ``bytes``, of which 1 says that files were equal, or ``logits``, the
            largest difference.
        day: When the case last passed, as 2026-11-29.
    """

    model: str
    quantization: str
    what: str
    value: float
    day: str


Cells = Mapping[tuple[str, str], str]
"""By model and quantization."""


def read(path: Path) -> dict[str, Figure]:
    """Return the figures kept in ``path``, by case; none if there is no such file."""
    if not path.exists():
        return {}
    kept = json.loads(path.read_text())
    return {case: Figure(**fields) for case, fields in kept.items()}


def write(path: Path, figures: Mapping[str, Figure]) -> None:
    """Keep ``figures`` in ``path``, in the order of their cases."""
    fields = {case: asdict(figures[case]) for case in sorted(figures)}
    path.write_text(json.dumps(fields, indent=1) + "\n")


def merged(
    kept: Mapping[str, Figure], found: Mapping[str, Figure], failed: Iterable[str]
) -> dict[str, Figure]:
    """Return what was kept, with what is ``found`` now, without what ``failed``."""
    gone = set(failed)
    return {k: v for k, v in {**kept, **found}.items() if k not in gone}


def larger(old: Figure | None, new: Figure) -> Figure:
    """Return the one of the larger value, of two of one case."""
    return new if old is None or new.value >= old.value else old


def table(figures: Iterable[Figure]) -> str:
    """Return tables with headings: a row for each model, a column for a quantization.

    First whose files are equal, then differences of logits by the dtype that libraries
    compute in. What few models were tried in is listed below a table.
    """
    from mlcx.quant.scheme import SCHEMES

    every = list(figures)
    parts = [
        "### Files\n",
        _rows(_cells(each for each in every if each.what == "bytes")),
    ]
    logits = _cells(each for each in every if each.what == "logits")
    for dtype in ("float32", "float16", "bfloat16"):
        kept = {k: v for k, v in logits.items() if SCHEMES[k[1]].model_dtype == dtype}
        parts += [f"### Logits in {dtype}\n", _rows(kept, _COMMON)]
    return "\n".join(parts)


def put(page: str, table: str) -> str:
    """Return ``page`` with ``table`` in place of the one that it has."""
    before, start, rest = page.partition(_START)
    _, end, after = rest.partition(_END)
    if not (start and end):
        raise ValueError(f"expected the lines {_START!r} and {_END!r} in the page")
    return f"{before}{start}\n{table}\n{end}{after}"


def _cells(figures: Iterable[Figure]) -> Cells:
    """Return what a cell says: the largest difference of all its cases."""
    values: dict[tuple[str, str], Figure] = {}
    for each in figures:
        place = each.model, each.quantization
        values[place] = larger(values.get(place), each)
    return {place: _cell(found) for place, found in values.items()}


def _cell(found: Figure) -> str:
    return f"{found.value:.1e}" if found.what == "logits" else "equal"


def _rows(cells: Cells, common: float = 0) -> str:
    """Return a table, and lists of what a smaller share of models was tried in."""
    from mlcx.quant.scheme import SCHEMES

    models = {model for model, _ in cells}
    columns, rare = [], []
    for name in sorted({name for _, name in cells}, key=list(SCHEMES).index):
        tried = sum((model, name) in cells for model in models)
        (columns if tried >= common * len(models) else rare).append(name)
    rows = [["model", *columns], ["---"] * (len(columns) + 1)]
    shown = sorted({model for model, name in cells if name in columns})
    rows += [[m, *(cells.get((m, name), "") for name in columns)] for m in shown]
    lines = [f"| {' | '.join(row)} |\n" for row in rows]
    return "".join(
        [*lines, *("\n" if rare else ""), *(_listed(cells, n) for n in rare)]
    )


def _listed(cells: Cells, quantization: str) -> str:
    of_it = {
        m: cell for (m, name), cell in sorted(cells.items()) if name == quantization
    }
    said = "; ".join(f"{model} {cell}" for model, cell in of_it.items())
    return f"- `{quantization}`: {said}\n"
