"""Numbers at which the kernels of all devices draw a line."""

from __future__ import annotations

__all__ = [
    "CHUNK",
    "COLDEST",
    "LEAST_TOTAL",
    "LOWEST",
    "LOWEST_PEAK",
    "NO_RESIDUAL",
    "UNSEEN",
]

CHUNK = 4096
"""Tokens of a row whose softmax one task takes: their exponentials have one scale."""

COLDEST = 1e-5
"""Temperatures up to this one mean greedy: ties at the maximum share evenly."""

LOWEST = -3.4028234663852886e38
"""Of float32's numbers."""

NO_RESIDUAL = 1e-7
"""A residual of less mass than this is rounding: a draft counts as accepted."""

UNSEEN = -1e30
"""Score of a column that a row must not see: its exponential is exactly 0."""

LOWEST_PEAK = -1e29
"""Maximum of the scores of a row that saw nothing yet; above `UNSEEN`."""

LEAST_TOTAL = 1e-37
"""Stands for a row's sum where the row saw nothing: its output is 0, not NaN."""
