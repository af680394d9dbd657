"""Triples: what they say of a machine, and what is made for it."""

import platform

import pytest

from mlcx.errors import UsageError
from mlcx.toolchain.triple import AUTO, parse


@pytest.mark.parametrize(
    ("text", "architecture", "system", "version", "format_", "suffixes"),
    [
        ("x86_64-conda-linux-gnu", "x86_64", "linux", "", "elf", ".so .tar .a"),
        ("aarch64-linux-android24", "aarch64", "android", "24", "elf", ".so .tar .a"),
        (
            "arm64-apple-macosx11.0.0",
            "aarch64",
            "macos",
            "11.0.0",
            "macho",
            ".dylib .so .tar .a",
        ),
        ("x86_64-apple-darwin", "x86_64", "macos", "", "macho", ".dylib .so .tar .a"),
        ("arm64-apple-ios14.0", "aarch64", "ios", "14.0", "macho", ".tar .a"),
        (
            "arm64-apple-ios18.0-macabi",
            "aarch64",
            "macabi",
            "18.0",
            "macho",
            ".tar .a",
        ),
        ("x86_64-pc-windows-msvc", "x86_64", "windows", "", "coff", ".dll"),
        ("wasm32-unknown-unknown-wasm", "wasm32", "wasm", "", "wasm", ".wasm"),
    ],
)
def test_a_triple_is_taken_apart(
    text: str,
    architecture: str,
    system: str,
    version: str,
    format_: str,
    suffixes: str,
) -> None:
    triple = parse(text)
    assert (triple.architecture, triple.system) == (architecture, system)
    assert (triple.version, triple.format) == (version, format_)
    assert " ".join(triple.suffixes) == suffixes


@pytest.mark.parametrize(
    "text", ["x86_64", "pdp11-linux-gnu", "x86_64-plan9", "x86_64-w64-windows-gnu", ""]
)
def test_what_no_library_is_made_for_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected a triple such as x86_64-linux-gnu"):
        parse(text)


def test_this_machine_needs_no_name() -> None:
    triple = parse(AUTO)
    assert triple.is_here
    assert parse(f"{platform.machine()}-linux-gnu").is_here == (
        triple.system == "linux"
    )
    assert not parse("wasm32-unknown-unknown").is_here
