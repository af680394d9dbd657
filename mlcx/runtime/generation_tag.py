"""The tag ``{% generation %}`` of chat templates, which is transformers' own.

There it tells a trainer which part of a prompt the model has said; its content is text
like any other.
"""

from __future__ import annotations

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

__all__ = ["GenerationTag"]


class GenerationTag(Extension):
    """Writes what is inside the tag, where names can be set that end with it."""

    tags = {"generation"}  # noqa: RUF012 (Jinja declares it so)

    def parse(self, parser: Parser) -> nodes.Node:
        """Return what is between the tag, which comes next, and its end."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)
