"""Whether a library is good enough: its figures against thresholds."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlcx import artifact
from mlcx.runtime.fields import Fields
from mlcx.runtime.quality.figures import Figures
from mlcx.runtime.quality.reference import Origin

__all__ = ["Measurement", "Thresholds", "faults", "read", "summary", "table"]

_KIND = "mlcx-quality"


@dataclass(frozen=True)
class Thresholds:
    """What a library must reach; None: nothing is asked."""

    max_kl: float | None = None
    """The largest mean divergence, in nats per token."""
    min_top1: float | None = None
    """The smallest share of tokens, 0 to 1, with the same most likely token."""


@dataclass(frozen=True)
class Measurement:
    """The figures of one library, and how they were made."""

    library: str
    """Its file's name."""
    quantization: str
    device: str
    window: int
    """Most tokens that were given at a time."""
    reference: Origin
    figures: Figures

    def to_dict(self) -> dict[str, Any]:
        """Return this as JSON has it; an infinite perplexity is null."""
        figures = self.figures
        derived = {
            "perplexity": _finite(figures.perplexity),
            "reference_perplexity": _finite(figures.reference_perplexity),
        }
        content = asdict(self)
        content["figures"].update(derived)
        return {"kind": _KIND, **content}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def read(file: Path) -> Measurement:
    """Read what ``Measurement.to_dict`` wrote to ``file``.

    Raises:
        InputError: It holds something else.
    """
    fields = Fields(file, artifact.read_json(file))
    if (kind := fields.text("kind", "")) != _KIND:
        fields.reject("kind", f"expected {_KIND}, found {kind or 'none'}")
    origin, numbers = fields.object("reference"), fields.object("figures")
    return Measurement(
        library=fields.text("library"),
        quantization=fields.text("quantization"),
        device=fields.text("device"),
        window=fields.integer("window"),
        reference=Origin(**{n: origin.text(n) for n in Origin.__dataclass_fields__}),
        figures=Figures(
            tokens=numbers.integer("tokens"),
            mean_kl=numbers.number("mean_kl"),
            max_kl=numbers.number("max_kl"),
            top1=numbers.number("top1"),
            max_difference=numbers.number("max_difference"),
            scored=numbers.integer("scored"),
            cross_entropy=numbers.number("cross_entropy"),
            reference_cross_entropy=numbers.number("reference_cross_entropy"),
        ),
    )


def faults(figures: Figures, limits: Thresholds) -> list[str]:
    """Say which of the thresholds are not kept, with the numbers."""
    found = []
    if limits.max_kl is not None and not figures.mean_kl <= limits.max_kl:
        found.append(
            f"mean KL divergence {figures.mean_kl:.6g} nats per token, at most "
            f"{limits.max_kl:g} allowed"
        )
    if limits.min_top1 is not None and not figures.top1 >= limits.min_top1:
        found.append(
            f"top-1 agreement {figures.top1:.6g}, at least {limits.min_top1:g} required"
        )
    return found


def summary(measured: Measurement) -> str:
    """Say in one line what was compared with what, on what."""
    origin = measured.reference
    return (
        f"{measured.library} ({measured.quantization}, {measured.device}) against "
        f"{origin.quantization} on {origin.device}: {measured.figures.tokens} tokens "
        f"of {origin.text}, at most {measured.window} at a time"
    )


def table(measured: Measurement, limits: Thresholds) -> str:
    """Return the figures as lines for a person."""
    figures = measured.figures
    reference = f"reference {figures.reference_perplexity:.6g}"
    against = f"{reference}, {figures.growth:+.2%}"
    rows = [
        ("KL divergence, mean", f"{figures.mean_kl:.6g}", "nats per token", _at_most),
        ("KL divergence, largest", f"{figures.max_kl:.6g}", "nats", None),
        ("top-1 agreement", f"{figures.top1:.6g}", "", _at_least),
        ("logits, largest difference", f"{figures.max_difference:.6g}", "", None),
        ("perplexity", f"{figures.perplexity:.6g}", against, None),
    ]
    lines = [summary(measured)]
    for name, number, unit, limit in rows:
        bound = limit(limits) if limit else ""
        lines.append(f"  {name:27}{number:>12}  {unit}{bound}".rstrip())
    return "\n".join(lines)


def _at_most(limits: Thresholds) -> str:
    return "" if limits.max_kl is None else f", at most {limits.max_kl:g}"


def _at_least(limits: Thresholds) -> str:
    return "" if limits.min_top1 is None else f"at least {limits.min_top1:g}"
