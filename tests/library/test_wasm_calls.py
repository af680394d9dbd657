"""Calls in WebAssembly, as a linker writes them."""

from __future__ import annotations

import pytest
from wasm_calls import calls

from mlcx.library.wasm import MAGIC


def section(kind: int, content: bytes) -> bytes:
    return bytes([kind, len(content)]) + content


EXPORTS = section(7, b"\x03\x05alloc\x00\x85\x01\x04rest\x00\x03\x06memory\x02\x00")
"""Function 133 as alloc, function 3 as rest, and the memory."""
CALL = b"\x10\x85\x81\x80\x80\x00"
"""Of function 133."""


def test_calls_of_an_exported_function_are_counted() -> None:
    code = section(10, b"\x01\x0e\x00" + CALL + CALL + b"\x0b")
    assert calls(MAGIC + EXPORTS + code, "alloc") == 2
    assert calls(MAGIC + EXPORTS + code, "rest") == 0


@pytest.mark.parametrize("name", ["memory", "other"])
def test_what_is_no_exported_function_is_not_taken_for_uncalled(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        calls(MAGIC + EXPORTS, name)
