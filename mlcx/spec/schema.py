"""The schemas: where they are, which one a spec follows, and what violates it."""

from __future__ import annotations

import contextlib
import json
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from mlcx.errors import InputError
from mlcx.spec.source import Source, quote
from mlcx.spec.violations import Violation

__all__ = ["SCHEMAS", "SpecKind", "folder", "kind_of", "load", "schemes", "violations"]

SpecKind = Literal["package", "delivery"]

SCHEMAS: dict[SpecKind, str] = {
    "package": "mlc-package-config.schema.json",
    "delivery": "mlc-delivery-spec.schema.json",
}
"""Kind of spec to the name of its schema file."""


def folder() -> Path:
    """Return where the schema files are: in an installed package, or in the sources."""
    package = Path(__file__).parents[1]
    installed = package / "schemas"
    return installed if installed.is_dir() else package.parent / "schemas"


@cache
def load(kind: SpecKind) -> dict[str, Any]:
    """Return the schema of ``kind``; not to be changed."""
    schema: dict[str, Any] = json.loads(_bytes(kind))
    return schema


def schemes() -> list[str]:
    """Return the names of the quantization schemes, which both schemas list."""
    names: list[str] = load("package")["$defs"]["scheme"]["enum"]
    return names


def kind_of(source: Source) -> SpecKind:
    """Return which kind of spec ``source`` is, by its ``$schema``, else by its keys.

    Raises:
        InputError: Neither decides.
    """
    named = source.value.get("$schema")
    if isinstance(named, str):
        return _kind_named(source, named)
    hits: dict[SpecKind, int] = {kind: _hits(kind, source.value) for kind in SCHEMAS}
    best = max(hits, key=lambda kind: hits[kind])
    if list(hits.values()).count(hits[best]) == 1:
        return best
    found = ", ".join(map(quote, source.value)) or "none"
    message = (
        "cannot tell whether this is a package config or a delivery spec: expected "
        f'"device" and "model_list", or "tasks"; found the keys: {found}. '
        'A "$schema" that names the schema file decides it'
    )
    raise InputError(source.problem((), message))


def violations(source: Source, kind: SpecKind, stamp: Path | None) -> list[Violation]:
    """Return every violation of the schema of ``kind``, in no order.

    Args:
        source: The spec.
        kind: Which schema it must follow.
        stamp: A file of digests of specs found valid earlier. One that is listed is
            not looked at again, which saves loading jsonschema; one that is found
            valid is added. None: always look.
    """
    digest = _digest(source, kind)
    if stamp is not None and digest in _lines(stamp):
        return []
    # Loaded late: it costs as much time as all the rest of reading a spec.
    import jsonschema  # noqa: PLC0415

    validator = jsonschema.Draft202012Validator(load(kind))
    errors = validator.iter_errors(source.value)
    found = [violation for error in errors for violation in Violation.all_of(error)]
    if stamp is not None and not found:
        _add_line(stamp, digest)
    return list(dict.fromkeys(found))


def _kind_named(source: Source, named: str) -> SpecKind:
    for kind, name in SCHEMAS.items():
        if named.rpartition("/")[2] == name or named == load(kind)["$id"]:
            return kind
    known = " or ".join(map(quote, SCHEMAS.values()))
    message = f"expected the schema {known}, found {quote(named)}"
    raise InputError(source.problem(("$schema",), message))


def _hits(kind: SpecKind, value: dict[str, Any]) -> int:
    own = load(kind)["properties"].keys() - {"$schema"}
    return len(own & value.keys())


def _digest(source: Source, kind: SpecKind) -> str:
    """Digest all that validating depends on: the spec, its schema and this code."""
    code = (Path(__file__), Path(__file__).with_name("violations.py"))
    parts = (source.text.encode(), _bytes(kind), *(path.read_bytes() for path in code))
    return sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest()


def _lines(stamp: Path) -> list[str]:
    try:
        return stamp.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _add_line(stamp: Path, line: str) -> None:
    # It saves time and nothing else: a disk that is full is others' to report.
    with contextlib.suppress(OSError):
        stamp.parent.mkdir(parents=True, exist_ok=True)
        with stamp.open("a", encoding="ascii") as file:
            file.write(f"{line}\n")


@cache
def _bytes(kind: SpecKind) -> bytes:
    return (folder() / SCHEMAS[kind]).read_bytes()
