"""Addresses that a person gives, in names of models and in variables."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

__all__ = ["address"]


def address(text: str) -> SplitResult | None:
    """Return the parts of the URL ``text``, of any kind; None: it can be none."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:  # a bracket that stays open, a port that is no number
        return None
    return parts
