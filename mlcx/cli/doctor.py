"""The verb ``doctor``: what devices need of this machine, and what of it there is."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlcx.cli.targets import described, host_of
from mlcx.errors import UsageError
from mlcx.spec.devices import ALIASES, DEVICES, Device
from mlcx.spec.options import archs_for
from mlcx.toolchain.needs import Need, missing, needs
from mlcx.toolchain.triple import AUTO, parse

__all__ = ["doctor", "doctor_arguments"]


def doctor_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``doctor``."""
    parser.add_argument(
        "subjects",
        nargs="*",
        metavar="DEVICE|SPEC",
        help="device presets, targets as compile takes them, or specs whose devices "
        "are meant; none: all presets",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def doctor(args: argparse.Namespace) -> int:
    """Print what each device needs; 0: all of it is there, 1: something is missing."""
    patients = list(dict.fromkeys(_patients(args.subjects or list(DEVICES))))
    findings = [(patient, patient.examine()) for patient in patients]
    if args.json:
        rows = [patient.as_json(found) for patient, found in findings]
        print(json.dumps({"devices": rows}, indent=2))
    else:
        print("\n".join(line for each in findings for line in _lines(*each)))
    return 0 if all(_is_ready(found) for _, found in findings) else 1


@dataclass(frozen=True)
class _Patient:
    device: Device
    host: str
    suffix: str
    archs: tuple[str, ...] = ()

    def examine(self) -> tuple[Need, ...]:
        return needs(self.device.kind, parse(self.host), self.suffix, self.archs)

    def as_json(self, found: Iterable[Need]) -> dict[str, Any]:
        rows = list(found)
        return {
            "device": self.device.name,
            "host": self.host,
            "ready": _is_ready(rows),
            "needs": [_tool_as_json(need) for need in rows],
        }


def _tool_as_json(need: Need) -> dict[str, Any]:
    return {
        "name": need.tool.name,
        "purpose": need.tool.purpose,
        "version": need.found.version if need.found else None,
        "path": need.found.path if need.found else None,
        "remedy": None if need.found else need.tool.remedy,
    }


def _patients(subjects: Iterable[str]) -> Iterator[_Patient]:
    for subject in subjects:
        name = subject.removesuffix(":generic")
        if device := DEVICES.get(ALIASES.get(name, name)):
            # What an app links is archived in the end, which takes a tool of its own.
            suffix = ".a" if device.static else device.suffix
            yield _Patient(device, device.host, suffix, archs_for(device, None))
        elif subject.endswith(".json") or Path(subject).is_file():
            yield from _of_spec(subject)
        elif subject.startswith("{") or "/" in subject:
            yield _of_target(subject)
        else:
            raise UsageError.unknown("device", subject, DEVICES)


def _of_spec(file: str) -> Iterator[_Patient]:
    from mlcx.spec import load

    plan = load(file)
    for job in plan.libraries:
        device = DEVICES[job.device]
        suffix = Path(
            plan.static_lib.library if plan.static_lib else job.library
        ).suffix
        yield _Patient(device, device.host_for(job.host), suffix, job.archs)
    if plan.static_lib and not plan.libraries:  # they are all ready-made
        device = DEVICES[plan.static_lib.device]
        yield _Patient(device, device.host, Path(plan.static_lib.library).suffix)


def _of_target(text: str) -> _Patient:
    from mlcx.compiler import rocm
    from mlcx.compiler.cuda.archs import archs_of
    from mlcx.compiler.targets import target_of

    with rocm.quiet(text):
        target = target_of(text)
    device = described(text, target)
    return _Patient(device, host_of(target), device.suffix, archs_of(target))


def _is_ready(found: Iterable[Need]) -> bool:
    return all(need.found for need in found)


def _lines(patient: _Patient, found: Sequence[Need]) -> Iterator[str]:
    name, own = patient.device.name, patient.device.host
    yield name if patient.host in (own, AUTO) else f"{name} on {patient.host}"
    lacks = missing(found)
    for need in found:
        name = f"{need.tool.name:21}"
        if need.found:
            yield f"  ok       {name}  {need.found.version}  {need.found.path}"
        elif need.tool in lacks:
            yield f"  missing  {name}  {need.tool.remedy}"
