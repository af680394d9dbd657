"""The argument ``--quantization`` of the verbs that have it."""

from __future__ import annotations

import argparse

__all__ = ["quantization_argument"]


def quantization_argument(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Declare it; where it is not ``required``, the model's config may say it."""
    meaning = (
        "scheme, such as q4f16_1, or a recipe of a mixed one: a JSON file "
        '{"base": SCHEME, "layers": {PATTERN: SCHEME}}, whose name is the recipe\'s, '
        'or such an object itself with a "name"'
    )
    if not required:
        meaning += "; needed when the config names none"
    parser.add_argument("--quantization", required=required, metavar="Q", help=meaning)
