"""What a library says of its making: put into it, found in its file without loading it.

The stamp is the object ``mlcx`` in front of the JSON that ``_metadata()`` returns, of
which MLC's readers pass over keys that they do not know. TVM stores that text as it
is, its length in front as 8 little-endian bytes: in libraries of every format it can be
found by looking for its first key. Those of MLC LLM are found too; they have no stamp.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

__all__ = ["KEY", "Description", "Stamp", "find"]

KEY = "mlcx"
"""Of the stamp in the metadata, where it comes first."""

_VERSION = 1
_FIRST = re.compile(rb'\{"(?:%s|model_type)": ' % KEY.encode())


@dataclass(frozen=True)
class Stamp:
    """What a library was made by, of what and for what."""

    version: str
    """Of mlcx."""
    tvm: str
    tvm_ffi: str
    device: str
    """As it was asked for: a preset or a target."""
    target: Mapping[str, Any]
    """Attributes of the device and, as ``host``, of the machine that it is in."""
    cpu_features: Sequence[str]
    """Instruction sets that the machine must have, of those that it may lack."""
    opt: str
    system_lib_prefix: str | None
    """Of the symbols of a static library; None: it is loaded."""
    recipe: Mapping[str, Any] | None
    """What declares a mixed quantization."""
    overrides: Mapping[str, int | bool]
    """The fields of the config that can be overridden, as they were."""
    config_sha256: str
    """Of the compile config."""
    abi: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Function of TVM's runtime that the library calls to how many ``arguments`` it
    gives; where the first one is a shape, ``sizes`` is how long that is."""

    def as_json(self) -> dict[str, Any]:
        """Return what stands under KEY."""
        return {"stamp": _VERSION, **asdict(self)}

    @property
    def kind(self) -> str:
        """The kind of target, as TVM calls it."""
        return str(self.target["kind"])

    @property
    def host(self) -> Mapping[str, Any]:
        """Attributes of the machine that runs it."""
        found: Mapping[str, Any] = self.target["host"]
        return found

    @property
    def triple(self) -> str:
        """What the machine is, as LLVM says it."""
        return str(self.host["mtriple"])

    @property
    def summary(self) -> str:
        """What it was built with, in one line."""
        host = self.triple
        made = f"mlcx {self.version} with TVM {self.tvm} and its ffi {self.tvm_ffi}"
        return f"{made} for {self.device} on {host}"


@dataclass(frozen=True)
class Description:
    """The metadata of a library."""

    metadata: Mapping[str, Any]
    """All of it, as the library says it; checked is that ``model_type`` and
    ``quantization`` are texts and ``params`` a list."""

    @property
    def stamp(self) -> Stamp | None:
        """The stamp; None: there is none, or one that another mlcx made differently."""
        found = self.metadata.get(KEY)
        if not isinstance(found, dict) or found.get("stamp") != _VERSION:
            return None
        if not _is_whole(found):
            return None
        return Stamp(**{each.name: found[each.name] for each in fields(Stamp)})

    def command(self, output: str, device: str | None = None) -> str | None:
        """Return the command that makes the library again from its model.

        Args:
            output: File to make.
            device: For this machine's device of that name; None: as it was made.
        """
        stamp = self.stamp
        if stamp is None:
            return None
        words = ["mlcx", "compile", "MODEL", "--quantization", self._scheme(stamp)]
        words += ["--device", device or stamp.device, "--opt", stamp.opt]
        words += ["--overrides", _overrides(stamp.overrides)]
        if device is None:
            names = (("--host", "mtriple"), ("--mcpu", "mcpu"))
            given = ((word, stamp.host.get(key)) for word, key in names)
            words += [str(each) for pair in given if pair[1] for each in pair]
            if stamp.kind == "cuda" and "arch" in stamp.target:
                words += ["--archs", str(stamp.target["arch"])]
            if stamp.system_lib_prefix is not None:
                words += ["--system-lib-prefix", stamp.system_lib_prefix]
        return shlex.join([*words, "-o", output])

    def _scheme(self, stamp: Stamp) -> str:
        name = str(self.metadata["quantization"])
        if stamp.recipe is None:
            return name
        return json.dumps({"name": name, **stamp.recipe}, separators=(",", ":"))


def _is_whole(found: object) -> bool:
    """Say whether ``found`` has the fields of a stamp, each of the kind it must be."""
    match found:
        case {
            "version": str(),
            "tvm": str(),
            "tvm_ffi": str(),
            "device": str(),
            "target": {"kind": str(), "host": {"mtriple": str()}},
            "cpu_features": [*features],
            "opt": str(),
            "system_lib_prefix": str() | None,
            "recipe": dict() | None,
            "overrides": dict(overrides),
            "config_sha256": str(),
            "abi": dict(abi),
        }:
            return (
                all(isinstance(each, str) for each in features)
                and all(isinstance(each, int) for each in overrides.values())
                and all(isinstance(each, dict) for each in abi.values())
            )
    return False


def _overrides(fields: Mapping[str, int | bool]) -> str:
    """Return ``fields`` as a command line takes them."""
    return ";".join(f"{key}={value}".lower() for key, value in fields.items())


def find(content: bytes) -> Iterator[Description]:
    """Yield the descriptions of models in the content of a library, in its order."""
    for match in _FIRST.finditer(content):
        start = match.start()
        size = int.from_bytes(content[max(start - 8, 0) : start], "little")
        try:
            metadata = json.loads(content[start : start + size])
        except (ValueError, RecursionError):
            continue
        match metadata:
            case {"model_type": str(), "quantization": str(), "params": list()}:
                yield Description(metadata)
