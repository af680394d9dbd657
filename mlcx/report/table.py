"""Tables of steps for people: aligned, and folded where a terminal is too narrow."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mlcx.steps.about import About

__all__ = ["Heading", "Line", "table"]

_BOUNDLESS = 100_000
"""Columns of what is no terminal: nothing is folded there."""


@dataclass(frozen=True)
class Heading:
    """Of a column behind those that say what a step is for."""

    text: str
    right: bool = False
    """Whether its cells end in line."""


@dataclass(frozen=True)
class Line:
    """A step."""

    verb: str
    about: About
    cells: tuple[str, ...]
    style: str = ""
    """Of the first of the cells, on a terminal, as rich names styles."""


def table(headings: Sequence[Heading], lines: Sequence[Line], width: int | None) -> str:
    """Return ``lines`` under ``headings``.

    Without columns that would be empty, and without overrides that tell nothing apart.

    Args:
        headings: Of the cells of each line.
        lines: In their order.
        width: Columns of the terminal; None: it is none.
    """
    lines = _distinct(lines)
    console = Console(
        file=io.StringIO(),
        width=width or _BOUNDLESS,
        force_terminal=width is not None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    whole = _wide(headings, lines)
    boundless = console.options.update(width=_BOUNDLESS)
    natural = Measurement.get(console, boundless, whole).maximum
    console.print(whole if natural <= console.width else _narrow(headings, lines))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def _wide(headings: Sequence[Heading], lines: Sequence[Line]) -> Table:
    """Return one row for each of ``lines``."""
    made = _empty()
    named = [
        each.name
        for each in fields(About)
        if any(getattr(line.about, each.name) for line in lines)
    ]
    made.add_column("step", no_wrap=True)
    for name in named:
        made.add_column(name, no_wrap=True)
    _add(made, headings, no_wrap=True)
    for line in lines:
        shown = (getattr(line.about, name) or "" for name in named)
        made.add_row(line.verb, *shown, *_cells(line))
    return made


def _distinct(lines: Sequence[Line]) -> list[Line]:
    """Return ``lines`` without overrides that tell none of them from another."""
    plain = [replace(each.about, overrides=None) for each in lines]
    same = Counter((line.verb, about) for line, about in zip(lines, plain, strict=True))
    return [
        line if same[line.verb, about] > 1 else replace(line, about=about)
        for line, about in zip(lines, plain, strict=True)
    ]


def _narrow(headings: Sequence[Heading], lines: Sequence[Line]) -> Table:
    """Return two rows for each of ``lines``: below a step is what it is for."""
    made = _empty()
    made.add_column("step", overflow="fold")
    _add(made, headings, no_wrap=False)
    for line in lines:
        below = Padding(str(line.about), (0, 0, 0, 2)) if str(line.about) else ""
        made.add_row(Group(line.verb, below) if below else line.verb, *_cells(line))
    return made


def _empty() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")


def _add(made: Table, headings: Sequence[Heading], *, no_wrap: bool) -> None:
    for each in headings:
        made.add_column(
            each.text,
            justify="right" if each.right else "left",
            no_wrap=no_wrap or each.right,
        )


def _cells(line: Line) -> list[RenderableType]:
    first, *others = line.cells
    return [Text(first, line.style), *others]
