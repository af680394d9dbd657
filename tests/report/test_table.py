"""Tables of steps: what is in line, what is folded, what is left out."""

from __future__ import annotations

import re

from mlcx.report.table import Heading, Line, table
from mlcx.steps.about import About

HEADINGS = (Heading("status"), Heading("time", right=True))
LONG = "Llama-3.2-1B-Instruct-q4f16_1"
COMPILE = Line("compile", About(LONG, "q4f16_1", "cpu", "a=1"), ("built", "41 s"))
PACK = Line("app_config", About(), ("up to date", ""))


def plain(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()


def test_columns_are_in_line_and_the_empty_ones_left_out() -> None:
    assert table(HEADINGS, [COMPILE, PACK], None).splitlines() == [
        f"step        {'model':29}  quantization  device  status      time",
        f"compile     {LONG}  q4f16_1       cpu     built       41 s",
        f"app_config  {'':29}                        up to date",
    ]


def test_nothing_is_folded_or_coloured_where_there_is_no_terminal() -> None:
    model = "m" * 500
    line = Line("compile", About(model), ("failed", ""), "bold red")
    text = table(HEADINGS, [line], None)
    assert f"compile  {model}  failed\n" in text
    assert "\x1b" not in text


def test_what_a_step_is_for_goes_below_it_where_the_terminal_is_narrow() -> None:
    text = table(HEADINGS, [COMPILE, PACK], 50)
    assert plain(text) == [
        f"{'step':32}  status      time",
        f"{'compile':32}  built       41 s",
        f"  {LONG},",
        "  q4f16_1, cpu",
        f"{'app_config':32}  up to date",
    ]
    assert all(len(line) <= 50 for line in plain(text))


def test_overrides_are_shown_where_they_tell_lines_apart() -> None:
    other = Line("compile", About(LONG, "q4f16_1", "cpu", "a=2"), ("built", "40 s"))
    both = table(HEADINGS, [COMPILE, other], None)
    assert [line.split()[4] for line in both.splitlines()[1:]] == ["a=1", "a=2"]


def test_the_names_of_models_are_no_markup() -> None:
    line = Line("compile", About("[bold]x[/bold] :smile:"), ("built", ""))
    assert "[bold]x[/bold] :smile:" in table(HEADINGS, [line], 200)
