"""Tables of steps for people: aligned, and folded where a terminal is too narrow."""

from __future__ import annotations

import io
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mlcx.steps.about import About

__all__ = ["Heading", "Line", "table"]

_TEXT = 24
"""Columns that texts are given at least, before a table is folded."""

_BOUNDLESS = 100_000
"""Columns of what is no terminal: nothing is folded there."""


@dataclass(frozen=True)
class Heading:
    """Of a column behind those that say what a step is for."""

    text: str
    right: bool = False
    """Whether its cells end in line."""
    wraps: bool = False
    """Whether its cells are texts, which may be broken into lines anywhere."""


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
    headings, lines = _used(headings, _distinct(lines))
    console = Console(
        file=io.StringIO(),
        width=width or _BOUNDLESS,
        force_terminal=width is not None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    boundless = console.options.update(width=_BOUNDLESS)
    tightest = _wide(headings, lines, _TEXT)
    least = Measurement.get(console, boundless, tightest).maximum
    lays_out = _wide if least <= console.width else _narrow
    console.print(lays_out(headings, lines))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def _used(
    headings: Sequence[Heading], lines: Sequence[Line]
) -> tuple[list[Heading], list[Line]]:
    """Return the ``headings`` that have cells below them, and ``lines`` with those."""
    used = [
        any(line.cells[number] for line in lines) for number in range(len(headings))
    ]
    kept = [
        replace(line, cells=tuple(itertools.compress(line.cells, used)))
        for line in lines
    ]
    return [*itertools.compress(headings, used)], kept


def _wide(
    headings: Sequence[Heading], lines: Sequence[Line], most: int | None = None
) -> Table:
    """Return one row for each of ``lines``; texts are ``most`` columns wide."""
    made = _empty()
    named = [
        each.name
        for each in fields(About)
        if any(getattr(line.about, each.name) for line in lines)
    ]
    made.add_column("step", no_wrap=True)
    for name in named:
        made.add_column(name, no_wrap=True)
    for each in headings:
        made.add_column(
            each.text,
            justify=_end(each),
            max_width=most if each.wraps else None,
            no_wrap=not each.wraps,
            overflow="fold",
        )
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
    for each in headings:
        made.add_column(
            each.text, justify=_end(each), no_wrap=each.right, overflow="fold"
        )
    for line in lines:
        below = Padding(str(line.about), (0, 0, 0, 2)) if str(line.about) else ""
        made.add_row(Group(line.verb, below) if below else line.verb, *_cells(line))
    return made


def _empty() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")


def _end(heading: Heading) -> Literal["left", "right"]:
    return "right" if heading.right else "left"


def _cells(line: Line) -> list[RenderableType]:
    return [
        Text(cell, line.style if number == 0 else "")
        for number, cell in enumerate(line.cells)
    ]
