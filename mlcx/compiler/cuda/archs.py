"""The architectures of NVIDIA's GPUs that a target names.

A target for several names them all, separated by commas: ``sm_80,sm_90a``. TVM takes
such a target and hands it on, but its schedules read a single number: they are given
the first of the architectures, without the letter.
"""

from __future__ import annotations

import re

from tvm.target import Target

from mlcx.errors import UsageError
from mlcx.toolchain.nvrtc import ARCHITECTURES

__all__ = ["archs_of", "forward_arch", "scheduling_target"]

_ARCH = re.compile(r"sm_(\d{2,3})([af]?)")


def archs_of(target: Target) -> tuple[str, ...]:
    """Return the architectures of a CUDA ``target``, oldest first.

    Raises:
        UsageError: One is none that kernels can be compiled for.
    """
    text = str(target.attrs["arch"])
    return tuple(sorted(set(text.split(",")), key=_order))


def scheduling_target(target: Target) -> Target:
    """Return the target that kernels for all architectures of ``target`` are made for.

    Of any other kind than CUDA's it is ``target`` itself.

    Raises:
        UsageError: As ``archs_of``.
    """
    if target.kind.name != "cuda":
        return target
    number, _ = _order(archs_of(target)[0])
    attributes = {**target.export(), "arch": f"sm_{number}"}
    return Target(attributes, host=target.host)


def forward_arch(archs: tuple[str, ...]) -> str | None:
    """Return the latest of ``archs`` whose code later GPUs can be given; None: none.

    What is compiled for an architecture with a letter runs on no later one.
    """
    plain = [arch for arch in archs if not _order(arch)[1]]
    return plain[-1] if plain else None


def _order(arch: str) -> tuple[int, str]:
    found = _ARCH.fullmatch(arch)
    if found is None or int(found[1]) not in ARCHITECTURES:
        known = ", ".join(f"sm_{number}" for number in ARCHITECTURES)
        expected = f"expected some of {known}, with commas between"
        raise UsageError(f"CUDA architecture {arch!r}: {expected}")
    return int(found[1]), found[2]
