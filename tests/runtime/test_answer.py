from __future__ import annotations

import random
from itertools import pairwise

import pytest

from mlcx.runtime.answer import StopStrings


def passed(stops: list[str], parts: list[str]) -> tuple[str, bool]:
    """Return the text that gets through, and whether a stop was found."""
    gate = StopStrings(stops)
    out = ""
    for part in parts:
        out += gate.push(part)
        if gate.found:
            break
    return out + gate.finish(), gate.found


@pytest.mark.parametrize(
    ("stops", "text", "expected"),
    [
        ([], "all of it", "all of it"),
        ([""], "all of it", "all of it"),
        (["###"], "a ## b ### c", "a ## b "),
        (["###"], "ends with ##", "ends with ##"),
        (["aab"], "aaab", "a"),
        (["STOP", "OP"], "xSTOP", "x"),
        (["abcd", "bc"], "xabcd", "xa"),
        (["no", "never"], "nevertheless no", ""),
        (["é\n"], "café\n", "caf"),
    ],
)
def test_text_passes_up_to_a_stop_string_however_it_is_cut(
    stops: list[str], text: str, expected: str
) -> None:
    for seed in range(50):
        cuts = sorted(random.Random(seed).choices(range(len(text) + 1), k=3))
        parts = [text[a:b] for a, b in pairwise([0, *cuts, len(text)])]
        assert passed(stops, parts) == (expected, expected != text)
        assert passed(stops, list(text)) == (expected, expected != text)


def test_text_that_begins_no_stop_is_passed_at_once() -> None:
    gate = StopStrings(["<end>"])
    assert gate.push("hello <") == "hello "
    assert gate.push("b") == "<b"
    assert gate.push("><en") == ">"
    assert gate.finish() == "<en"
