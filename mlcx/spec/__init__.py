"""Specs: what a person writes to say what to build, and the plan that it means.

Knows files, schemas and rules; knows nothing of how a job is done. The schemas are
loaded with the first spec: devices and options are wanted without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlcx.spec.reading import check, load

__all__ = ["check", "load"]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import mlcx.spec.reading  # noqa: PLC0415

    return getattr(mlcx.spec.reading, name)
