"""Digests: what signatures are made of, the same on every machine unless it says so."""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path

from mlcx.layers import closure

__all__ = ["canonical_json", "host", "of_file", "of_json", "of_sources"]

_PACKAGE = Path(__file__).parents[1]
_CPUINFO = Path("/proc/cpuinfo")
_BLOCK = 1 << 20


def canonical_json(value: object) -> str:
    """Return the one text of ``value``: keys sorted, no spaces, ASCII.

    Raises:
        ValueError: A number is not finite, which JSON cannot say.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def of_json(value: object) -> str:
    """Return the SHA-256 of ``canonical_json(value)``, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def of_file(path: Path) -> str:
    """Return the SHA-256 of the bytes in ``path``, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def of_sources(package: str, root: Path = _PACKAGE) -> str:
    """Return a digest of the sources that running ``package`` of mlcx can load.

    Those are the Python files of the package and of all that ``layers`` lets it reach.

    Args:
        package: A key of ``layers.ALLOWED``.
        root: The folder of the sources of mlcx.
    """
    files = {
        path.relative_to(root).as_posix(): of_file(path)
        for name in closure(package)
        for path in _python_files(root, name)
    }
    return of_json(files)


def host() -> str:
    """Describe this machine's CPU: its architecture and, sorted, what it can do.

    Two machines with equal descriptions run each other's libraries for ``auto``.
    Features are known on Linux; elsewhere the name of the processor stands for them.
    """
    features = _features(_CPUINFO) or [platform.processor()]
    return " ".join([platform.machine(), *sorted(set(features))]).rstrip()


def _python_files(root: Path, name: str) -> list[Path]:
    module = root / f"{name}.py"
    return [module] if module.is_file() else list((root / name).rglob("*.py"))


def _features(cpuinfo: Path) -> list[str]:
    """Return the flags of the first CPU in a file like /proc/cpuinfo; [] without."""
    if not cpuinfo.is_file():
        return []
    with cpuinfo.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            # x86 calls them flags, Arm Features, RISC-V isa.
            if name.strip() in {"flags", "Features", "isa"}:
                return value.split()
    return []
