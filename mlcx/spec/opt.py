"""Optimisation flags: the presets O0 to O3, the long form, and the canonical text."""

from __future__ import annotations

from mlcx.errors import UsageError
from mlcx.spec.devices import Device

__all__ = ["FLAGS", "NO_FLAGS", "PRESETS", "canonical"]

NO_FLAGS = "O0"
"""The canonical text for a device that looks at no flag."""

_SWITCH = ("0", "1")

FLAGS: dict[str, tuple[str, ...]] = {
    "flashinfer": _SWITCH,
    "cublas_gemm": _SWITCH,
    "faster_transformer": _SWITCH,
    "cudagraph": _SWITCH,
    "cutlass": _SWITCH,
    "ipc_allreduce_strategy": ("NONE", "ONESHOT", "TWOSHOT", "AUTO"),
}
"""Flag to its values, in the order of the canonical text."""

PRESETS: dict[str, tuple[str, ...]] = {
    "O0": ("0", "0", "0", "0", "0", "NONE"),
    "O1": ("0", "1", "1", "0", "1", "NONE"),
    "O2": ("1", "1", "0", "1", "1", "NONE"),
    "O3": ("1", "1", "1", "1", "1", "AUTO"),
}
"""Preset to the values of all flags, in their order."""

# MLC's long form starts from these, not from a preset.
_UNNAMED = ("1", "0", "0", "0", "0", "NONE")


def canonical(text: str, device: Device) -> str:
    """Return the long form of the flags that ``device`` looks at, in a fixed order.

    Two texts that come out equal compile to the same library.

    Raises:
        UsageError: ``text`` is neither a preset nor ``flag=value`` joined by ``;``.
    """
    if text in PRESETS:
        return _join(dict(zip(FLAGS, PRESETS[text], strict=True)), device)
    chosen = dict(zip(FLAGS, _UNNAMED, strict=True))
    for part in text.split(";"):
        flag, _, value = part.partition("=")
        if value not in FLAGS.get(flag, ()):
            raise UsageError(_refusal(part))
        chosen[flag] = value
    return _join(chosen, device)


def _join(values: dict[str, str], device: Device) -> str:
    seen = {flag: value for flag, value in values.items() if flag in device.flags}
    return ";".join(f"{flag}={value}" for flag, value in seen.items()) or NO_FLAGS


def _refusal(part: str) -> str:
    flag = part.partition("=")[0]
    if flag in FLAGS:
        return f'expected {flag}={" or ".join(FLAGS[flag])}, found "{part}"'
    known = ", ".join([*PRESETS, *(f"{name}=…" for name in FLAGS)])
    return f'optimisation flag "{part}" is not known: expected one of {known}'
