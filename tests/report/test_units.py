from __future__ import annotations

import pytest

from mlcx.report.units import byte_count, change, duration, size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, ""),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (27_412, "27.4 kB"),
        (999_400, "999 kB"),
        (999_600, "1 MB"),
        (4_000_000_000, "4 GB"),
        (12_345_000_000_000, "12.3 TB"),
    ],
)
def test_bytes_are_in_the_unit_that_suits_them(count: int | None, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("100000000000", 10**11),
        ("1.5 GB", 1_500_000_000),
        ("10g", 10**10),
        ("3.5K", 3500),
        ("512MiB", 512 << 20),
        ("1 Ti", 1 << 40),
    ],
)
def test_sizes_are_read_in_units_of_1000_unless_they_say_otherwise(
    text: str, count: int
) -> None:
    assert byte_count(text) == count


@pytest.mark.parametrize("text", ["", "G", "-1", "1e9", "8 pounds", "8  G", "8Gi B"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size such as 8G or 512MiB"):
        byte_count(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.004, "0.00 s"),
        (9.99, "9.99 s"),
        (9.999, "10.0 s"),
        (59.96, "1 min 00 s"),
        (200.4, "3 min 20 s"),
        (3725, "1 h 02 min"),
    ],
)
def test_seconds_are_said_as_a_person_would(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_a_change_has_its_sign() -> None:
    assert change(200, 300) == ", +50 %"
    assert change(200, 100) == ", \N{MINUS SIGN}50 %"
    assert [change(0, 5), change(None, 5), change(5, None), change(5, 5)] == [""] * 4
