"""mlcx: a build system for on-device LLMs, on SCons and Apache TVM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlcx.demand.jit import JITResult, jit

__version__ = "0.1.0"
__all__ = ["JITResult", "__version__", "jit"]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name not in ("JITResult", "jit"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import mlcx.demand.jit  # noqa: PLC0415

    return getattr(mlcx.demand.jit, name)
