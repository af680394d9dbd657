"""WebAssembly's data, put together from bytes that the specification gives."""

from __future__ import annotations

import pytest

from mlcx.library.wasm import MAGIC, memory

CODE = b"\x0a\x03\x01\x01\x0b"
"""A section that is passed over."""


def section(*segments: bytes) -> bytes:
    """A module with these segments of data."""
    content = bytes([len(segments)]) + b"".join(segments)
    return MAGIC + CODE + b"\x0b" + bytes([len(content)]) + content


def test_segments_are_joined_with_the_zeros_between_them() -> None:
    first = b"\x00\x41\x88\x08\x0b\x03abc"  # at 1032
    second = b"\x02\x00\x41\x90\x08\x0b\x02de"  # at 1040, of memory 0
    assert memory(section(first, second)) == b"abc" + b"\0" * 5 + b"de"
    assert memory(section(second, first)) == b"abc" + b"\0" * 5 + b"de"


def test_segments_that_no_place_is_given_for_are_left_out() -> None:
    passive = b"\x01\x02zz"
    assert memory(section(passive, b"\x00\x41\x08\x0b\x01a")) == b"a"
    assert memory(section(passive)) == b""
    assert memory(MAGIC) == b""


def test_addresses_of_the_upper_half_are_not_negative() -> None:
    high = b"\x00\x41\x80\x80\x80\x80\x78\x0b\x01a"  # -2147483648: at 2 GiB
    assert memory(section(high)) == b"a"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0asm\2\0\0\0", "no WebAssembly"),
        (section(b"\x00\x41\x08\x0b\x05ab"), "expected 5 bytes"),
        (section(b"\x00\x23\x00\x0b\x01a"), "an offset that is no constant"),
        (
            section(b"\x00\x41\x00\x0b\x01a", b"\x00\x41\x80\x80\x80\x80\x78\x0b\x01a"),
            "farther apart",
        ),
    ],
)
def test_damaged_data_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        memory(data)
