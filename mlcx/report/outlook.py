"""What a build would do: a row for each step, as a table and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from mlcx.report.table import Heading, Line, table
from mlcx.report.units import duration, size
from mlcx.steps.about import About

__all__ = ["MADE", "MOST", "Fate", "Outlook", "as_json", "shown"]

Fate = Literal[
    "up to date", "in cache", "to build", "to build or take", "perhaps", "refused"
]
"""What happens to a step.

To build or take: surely made again, but only when what it is made from is made can it
be told whether a cache has it. Perhaps: the same, and it may also turn out up to date.
"""

MADE: frozenset[Fate] = frozenset({"to build", "to build or take", "perhaps"})
"""Fates of steps that run, or may."""

MOST = 40
"""Lines of a table; of more, those that say the same are one."""

_STYLES: dict[Fate, str] = {
    "in cache": "cyan",
    "to build": "green",
    "to build or take": "green",
    "perhaps": "yellow",
    "refused": "bold red",
}

_HEADINGS = (
    Heading("next build"),
    Heading("since", wraps=True),
    Heading("size", right=True),
    Heading("time", right=True),
)


@dataclass(frozen=True)
class Outlook:
    """What a build would do with a step."""

    verb: str
    about: About
    target: str
    fate: Fate
    since: str
    """Why, in short; empty when it is up to date."""
    remote: bool = False
    """Of what is in a cache: it is not on this machine."""
    level: str | None = None
    """The folder or URL of that cache."""
    bytes: int | None = None
    """Of all that the step makes; None: not known."""
    seconds: float | None = None
    """That it took the last time; None: not known, or nothing is to be built."""

    @property
    def state(self) -> str:
        """Return the fate, and where the cache is."""
        return "in remote cache" if self.remote else self.fate


def shown(rows: Sequence[Outlook], width: int | None, *, whole: bool = False) -> str:
    """Return ``rows`` as a table, and in a last line what they come to.

    Args:
        rows: In the order in which they would be built.
        width: Columns of the terminal; None: it is none.
        whole: A line for each, however many.
    """
    lines = [_line([row]) for row in rows]
    if len(rows) > MOST and not whole:
        lines = [_line(group) for group in _groups(rows)]
    return f"{table(_HEADINGS, lines, width)}{_totals(rows)}\n"


def as_json(rows: Sequence[Outlook]) -> dict[str, Any]:
    """Return ``rows`` and their totals, ready for JSON."""
    made = [row for row in rows if _is_made(row)]
    return {
        "steps": [{**_plain(row), "state": row.fate} for row in rows],
        "totals": {
            "steps": len(rows),
            "states": dict(_counts(rows, lambda row: row.fate)),
            "bytes": _sum(row.bytes for row in made),
            "seconds": _sum(row.seconds for row in made),
            "unknown_seconds": sum(row.seconds is None for row in made),
        },
    }


def _totals(rows: Sequence[Outlook]) -> str:
    """Return what ``rows`` come to, in a line."""
    counts = _counts(rows, lambda row: row.state)
    words = [", ".join(f"{number} {state}" for state, number in counts)]
    made = [row for row in rows if _is_made(row)]
    known = [row.seconds for row in made if row.seconds is not None]
    if known:
        unknown = len(made) - len(known)
        steps = "1 step" if unknown == 1 else f"{unknown} steps"
        rest = f", and {steps} of unknown length" if unknown else ""
        at_most = "" if all(row.fate == "to build" for row in made) else "up to "
        words.append(f"{at_most}{duration(sum(known))} as last built{rest}")
    return f"mlcx: {'; '.join(words)}"


def _plain(row: Outlook) -> dict[str, Any]:
    flat = {**asdict(row), **asdict(row.about)}
    return {name: each for name, each in flat.items() if name not in {"about", "fate"}}


def _is_made(row: Outlook) -> bool:
    return row.fate in MADE


def _counts(
    rows: Sequence[Outlook], named: Callable[[Outlook], str]
) -> list[tuple[str, int]]:
    found = Counter(map(named, rows))
    here, *others = get_args(Fate)
    order = [here, "in cache", "in remote cache", *others]
    return sorted(found.items(), key=lambda pair: order.index(pair[0]))


def _groups(rows: Iterable[Outlook]) -> list[list[Outlook]]:
    """Return ``rows`` that say the same together, each group where its first is."""
    found: dict[tuple[str, str, str], list[Outlook]] = {}
    for row in rows:
        found.setdefault((row.verb, row.state, row.since), []).append(row)
    return list(found.values())


def _line(rows: Sequence[Outlook]) -> Line:
    first = rows[0]
    seconds = _sum(row.seconds for row in rows)
    cells = (
        first.state,
        first.since,
        size(_sum(row.bytes for row in rows)),
        duration(seconds) or ("-" if _is_made(first) else ""),
    )
    return Line(first.verb, _about(rows), cells, _STYLES.get(first.fate, ""))


def _about(rows: Sequence[Outlook]) -> About:
    """Return what ``rows`` are for: values, or how many different ones there are."""
    if len(rows) == 1:
        return rows[0].about
    return About(
        _one(rows, "model", "models"),
        _one(rows, "quantization", "quantizations"),
        _one(rows, "device", "devices"),
        None,
    )


def _one(rows: Sequence[Outlook], name: str, several: str) -> str | None:
    values = {getattr(row.about, name) for row in rows} - {None}
    if len(values) > 1:
        return f"{len(values)} {several}"
    return next(iter(values), None)


def _sum(values: Iterable[float | None]) -> Any:
    """Return the sum of those ``values`` that are known; None: none is."""
    known = [each for each in values if each is not None]
    return sum(known) if known else None
