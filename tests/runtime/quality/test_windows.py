from __future__ import annotations

import pytest

from mlcx.errors import UsageError
from mlcx.runtime.quality.windows import cut, draw, encode


class Coder:
    """A token for each letter; 99 begins a text, and 98 ends it."""

    def encode(self, text: str, special: bool = False) -> list[int]:
        ids = [ord(char) - ord("a") for char in text]
        return [99, *ids, 98] if special else ids


def test_a_text_is_cut_into_windows_that_each_begin_as_a_text_does() -> None:
    windows = encode(Coder(), "abcdefg", 100, 4)
    assert windows == ((99, 0, 1, 2), (99, 3, 4, 5), (99, 6))


def test_no_more_tokens_are_used_than_asked_for() -> None:
    assert encode(Coder(), "abcdefg", 6, 4) == ((99, 0, 1, 2), (99, 3))
    assert sum(map(len, draw(50, 700, 256))) == 700


def test_a_rest_that_predicts_nothing_is_left_out() -> None:
    assert cut([1, 2, 3, 4, 5], 100, 4, ()) == ((1, 2, 3, 4),)
    assert cut([1, 2, 3, 4], 5, 4, (9,)) == ((9, 1, 2, 3),)


def test_drawn_ids_are_below_the_vocabulary_and_always_the_same() -> None:
    (window,) = draw(7, 100, 256)
    assert set(window) == set(range(7))
    assert draw(7, 100, 256) == (window,)
    assert draw(1000, 3, 256) == ((337, 18, 786),)


@pytest.mark.parametrize(
    ("text", "count", "length", "message"),
    [
        ("", 10, 4, "the text has 0 tokens: expected 2 or more"),
        ("abc", 1, 4, "1 tokens in windows of 4: expected at least 2"),
        ("abc", 10, 1, "10 tokens in windows of 1: expected at least 2"),
    ],
)
def test_too_few_tokens_are_refused(
    text: str, count: int, length: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        encode(Coder(), text, count, length)
