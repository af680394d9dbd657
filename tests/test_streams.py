"""Whatever a command prints comes out, in any encoding."""

from __future__ import annotations

import io
import sys

import pytest

from mlcx import streams


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("ascii", b"11 -> 8, ... \\xe4 \\u732b \xff\n"),
        ("latin-1", b"11 -> 8, ... \xe4 \\u732b \xff\n"),
        ("utf-8", "11 → 8, … ä 猫 ".encode() + b"\xff\n"),
    ],
)
def test_what_an_encoding_lacks_is_written_in_ascii(
    monkeypatch: pytest.MonkeyPatch, encoding: str, written: bytes
) -> None:
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding=encoding))
    streams.prepare()
    print("11 → 8, … ä 猫 \udcff", flush=True)  # noqa: T201
    assert output.getvalue() == written
