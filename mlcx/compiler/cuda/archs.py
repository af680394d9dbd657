"""What a target for NVIDIA's GPUs names, and what its kernels are scheduled for.

A target for several architectures names them all, separated by commas:
``sm_80,sm_90a``. TVM takes such a target and hands it on, but its schedules read a
single number: they are given the first of them, without a letter.
"""

from __future__ import annotations

from collections.abc import Sequence

from tvm.target import Target

from mlcx.toolchain.cuda_archs import canonical, number

__all__ = ["archs_of", "scheduling_target", "with_archs"]

_KIND = "cuda"


def archs_of(target: Target) -> tuple[str, ...]:
    """Return the architectures of a CUDA ``target``, oldest first; of another: none.

    Raises:
        UsageError: One is none that there is a compiler for.
    """
    return canonical(str(target.attrs["arch"])) if target.kind.name == _KIND else ()


def scheduling_target(target: Target) -> Target:
    """Return the target that kernels for all architectures of ``target`` are made for.

    Of any other kind than CUDA's it is ``target`` itself.

    Raises:
        UsageError: As ``archs_of``.
    """
    archs = archs_of(target)
    return with_archs(target, [f"sm_{number(archs[0])}"]) if archs else target


def with_archs(target: Target, archs: Sequence[str]) -> Target:
    """Return the CUDA ``target`` for other architectures, else as it is."""
    attributes = {**target.export(), "arch": ",".join(archs)}
    return Target(attributes, host=target.host)
