"""The plots of the tales, read from ``plots.txt``, which says how it is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ENDINGS", "OPENINGS", "PLOTS", "Plot", "parse"]


@dataclass(frozen=True)
class Plot:
    """What happens: how people ask for it, and its sentences from start to end."""

    theme: str
    who: str
    """What a request may say of the hero: ``a fox who …``."""
    beats: tuple[str, ...]
    lessons: tuple[str, ...]
    cases: tuple[dict[str, str], ...]
    """Ways it can go, each with slots of its own; one empty case if there is one."""


def parse(text: str) -> list[Plot]:
    """Return the plots in ``text``."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    starts = [at for at, line in enumerate(lines) if line.startswith("== ")]
    ends = [*starts[1:], len(lines)]
    return [_plot(lines[at:end]) for at, end in zip(starts, ends, strict=True)]


def _plot(lines: list[str]) -> Plot:
    marked: dict[str, list[str]] = {
        "== ": [],
        "who: ": [],
        "lesson: ": [],
        "case: ": [],
    }
    beats = []
    for line in lines:
        mark = next((mark for mark in marked if line.startswith(mark)), None)
        if mark is None:
            beats.append(line)
        else:
            marked[mark].append(line.removeprefix(mark))
    (theme,), (who,), lessons, cases = marked.values()
    slots = tuple(_case(case) for case in cases) or ({},)
    return Plot(theme, who, tuple(beats), tuple(lessons), slots)


def _case(line: str) -> dict[str, str]:
    pairs = (pair.split(" = ", 1) for pair in line.split("; "))
    return {slot.strip(): text.strip() for slot, text in pairs}


OPENINGS = (
    "Once upon a time, {a_character} {kind} named {name} lived {at}.",
    "Once upon a time, there was {a_character} {kind} named {name} who lived {at}.",
    "[Long ago|Once], {a_character} {kind} named {name} lived {at}.",
    "{name} was {a_character} {kind} who lived {at}.",
)
ENDINGS = (
    "{name} learned that {lesson}.",
    "So {name} learned that {lesson}.",
    "And {he} never forgot that {lesson}.",
)
PLOTS = parse((Path(__file__).parent / "plots.txt").read_text(encoding="utf-8"))
