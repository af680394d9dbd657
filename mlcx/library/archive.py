"""The members of an ``ar`` archive, as Unix, GNU, BSD and Darwin write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["MAGIC", "Member", "entries", "members"]

MAGIC = b"!<arch>\n"
_HEADER, _END = 60, b"`\n"
_INDEXES = ("/", "/SYM64/", "__.SYMDEF", "__.SYMDEF SORTED", "__.SYMDEF_64")
_LONG_NAMES = "//"


class Member(NamedTuple):
    """One file inside another."""

    name: str
    data: bytes


def members(data: bytes) -> Iterator[Member]:
    """Yield what ``entries`` does, without the index of symbols."""
    return (member for member in entries(data) if member.name not in _INDEXES)


def entries(data: bytes) -> Iterator[Member]:
    """Yield the members and the index of symbols, without the table of long names.

    Several may have the same name.

    Raises:
        ValueError: This is no archive, or it is cut off.
    """
    if not data.startswith(MAGIC):
        raise ValueError("no ar archive")
    position, names = len(MAGIC), b""
    while position < len(data):
        header = data[position : position + _HEADER]
        if len(header) < _HEADER or header[-2:] != _END:
            raise ValueError(f"no header of a member at byte {position}")
        start, size = position + _HEADER, int(header[48:58])
        content = data[start : start + size]
        if len(content) < size:
            raise ValueError(f"the member at byte {position} is cut off")
        position = start + size + size % 2
        name = header[:16].decode().rstrip(" ")
        if name == _LONG_NAMES:
            names = content
        else:
            yield _named(name, content, names)


def _named(name: str, content: bytes, names: bytes) -> Member:
    """Return a member by its whole name, which may stand elsewhere."""
    if name.startswith("#1/"):
        length = int(name[3:])
        return Member(content[:length].rstrip(b"\0").decode(), content[length:])
    if name[:1] == "/" and name[1:].isdigit():
        start = int(name[1:])
        end = names.index(b"\n", start)
        return Member(names[start:end].decode().removesuffix("/"), content)
    return Member(name if name in _INDEXES else name.removesuffix("/"), content)
