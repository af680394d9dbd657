"""What a step is for, in the words of the spec."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["About"]


@dataclass(frozen=True)
class About:
    """What a job is for; None where a job has no such thing."""

    model: str | None = None
    quantization: str | None = None
    device: str | None = None
    overrides: str | None = None

    def __str__(self) -> str:
        return ", ".join(value for value in vars(self).values() if value)
