"""What a program asks for, decided once: device, options and the kind of file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlcx.architectures.overriding import OVERRIDES
from mlcx.artifact import CHAT_CONFIG, COMPILE_CONFIG, read_json
from mlcx.errors import InputError, Problem, UsageError
from mlcx.signature.compiling import (
    Inputs,
    compiling,
    normalizing,
    override_text,
    web_runtime,
)
from mlcx.signature.key import key
from mlcx.spec.devices import DEVICES, Device
from mlcx.spec.digest import digest_file
from mlcx.spec.model_config import config_problems, override_problems
from mlcx.spec.opt import canonical
from mlcx.spec.options import DEFAULTS, archs_for, host_for
from mlcx.spec.prefix import canonical_prefix
from mlcx.toolchain.distributions import folder_of
from mlcx.toolchain.triple import AUTO

__all__ = ["SUFFIX", "Step", "Wanted", "Wish", "wanted"]

SUFFIX = "MLC_DSO_SUFFIX"
_OPT = "opt"
_DIGITS = 32
"""Of a key in the name of a file: as many as MLC LLM's libraries have."""
_ROOT = Path("/")
_NVIDIA = ("dev/nvidia[0-9]*", "usr/lib/wsl/lib/libcuda.so*")
"""What there is where the driver has a GPU of any number: in Linux, in Windows' own."""


@dataclass(frozen=True)
class Wanted:
    """A library."""

    config: Path
    """What the model's config is read from."""
    device: Device
    opt: str
    """In its canonical form."""
    given: Mapping[str, object]
    """The overrides, sorted by key."""
    prefix: str | None
    """Of the symbols of a static library, as given; None: an automatic one."""
    archs: tuple[str, ...]
    suffix: str
    """With the dot."""

    @property
    def overrides(self) -> str:
        """The overrides, as a command line takes them."""
        return override_text(self.given.items())

    @property
    def shown(self) -> str:
        """What people know it by, where it is stored."""
        said = (self.config.parent.name, self.device.name, self.overrides)
        return ", ".join(filter(None, said))

    @property
    def host(self) -> str:
        """What runs it, as a spec would name it."""
        return host_for(self.device, DEFAULTS["host"])

    @property
    def links_runtime(self) -> bool:
        """Whether it holds TVM's runtime for browsers."""
        return self.suffix == ".wasm"

    def check(self) -> None:
        """Make sure that the model can be built as it is wanted.

        Raises:
            InputError: Its config is none that a library can be made of.
            UsageError: It cannot follow an override.
        """
        config = read_json(self.config)
        if problems := list(config_problems(config)):
            raise InputError([Problem(str(self.config), 0, 0, p) for p in problems])
        for name, why in override_problems(config, self.given):
            raise UsageError(f"override {name!r}: {why}" if name else why)

    def normalizing(self) -> Step:
        """Return what makes its normal config."""
        return Step(normalizing(None, self.overrides), (self.config,), ".json")

    def web_runtime(self, bitcode: tuple[Path, ...]) -> Step:
        """Return what makes the runtime that a library for the web holds."""
        return Step(web_runtime(self.device.name, self.host), bitcode, ".o")

    def made_with(self, prefix: str | None = None) -> Inputs:
        """Return what it depends on besides files, as in a build.

        Args:
            prefix: Of the symbols of a static library; None: it is none, or none yet.
        """
        return compiling(
            self.device.name,
            self.suffix,
            opt=self.opt,
            host=self.host,
            mcpu=DEFAULTS["mcpu"],
            archs=self.archs,
            prefix=None if prefix is None else canonical_prefix(prefix),
        )

    def compiling(
        self, config: Path, prefix: str | None = None, runtime: Path | None = None
    ) -> Step:
        """Return what makes it.

        Args:
            config: Its normal config.
            prefix: As in ``made_with``.
            runtime: That a library for the web holds.
        """
        linked = () if runtime is None else (("--web-runtime", runtime),)
        return Step(self.made_with(prefix), (config,), self.suffix, linked)


@dataclass(frozen=True)
class Step:
    """What makes a file, as a build has it."""

    inputs: Inputs
    sources: tuple[Path, ...]
    """What it is called on."""
    suffix: str
    """Of the file, with the dot."""
    files: tuple[tuple[str, Path], ...] = ()
    """Options that name a file, whose content counts."""

    @property
    def key(self) -> str:
        """What builds store the file under."""
        options = (*self.inputs.options, *(option for option, _ in self.files))
        contents = (*self.sources, *(file for _, file in self.files))
        inputs = replace(self.inputs, options=options)
        return key(inputs, map(digest_file, contents), self.suffix)


@dataclass(frozen=True)
class Wish:
    """A file that is to be there."""

    file: Path
    key: str
    """Under which builds store it."""
    label: str
    """What it is, for people."""
    step: Step

    @classmethod
    def below(cls, folder: Path, label: str, step: Step) -> Wish:
        """Wish for a file that ``folder`` has by its key."""
        found = step.key
        return cls(folder / f"{found[:_DIGITS]}{step.suffix}", found, label, step)


def wanted(
    model: Path,
    overrides: Mapping[str, object],
    device: str,
    prefix: str | None,
    environ: Mapping[str, str],
) -> Wanted:
    """Return what the arguments of ``jit`` and ``environ`` ask for.

    Raises:
        InputError: There is no model.
        UsageError: The device, an option or the suffix is none that there is.
    """
    chosen = _device(device)
    given = _checked(overrides)
    opt = str(given.pop(_OPT, DEFAULTS["opt"]))
    static = chosen.static and prefix is not None
    if static:
        canonical_prefix(str(prefix))
    return Wanted(
        _config(model),
        chosen,
        canonical(opt, chosen),
        given,
        prefix if static else None,
        archs_for(chosen, None),
        _suffix(chosen, environ),
    )


def _config(model: Path) -> Path:
    names = (CHAT_CONFIG, COMPILE_CONFIG)
    files = (model, *(model / name for name in names))
    found = next((path for path in files if path.is_file()), None)
    if found is None:
        expected = f"expected a model directory with {CHAT_CONFIG}"
        raise InputError.in_file(model, f"{expected}, as mlcx gen_config makes it")
    return found.absolute()


def _device(text: str) -> Device:
    """Return the preset that ``text`` means: one, ``auto``, or a device with number."""
    name = _here() if text == AUTO else text.removesuffix(":generic")
    kind, _, index = name.partition(":")
    # Of several devices of a kind, the library is the same.
    if name not in DEVICES and index.isdecimal():
        name = kind
    if name not in DEVICES:
        raise UsageError.unknown("device", text, [AUTO, *DEVICES])
    return DEVICES[name]


def _here() -> str:
    """Return the device of this machine that runs models fastest, without a probe."""
    if sys.platform == "darwin":
        return "metal"
    folder = folder_of("tvm")
    runtime = folder and any((folder / "lib").glob("*tvm_runtime_cuda*"))
    gpu = runtime and any(any(_ROOT.glob(pattern)) for pattern in _NVIDIA)
    return "cuda" if gpu else "cpu"


def _suffix(device: Device, environ: Mapping[str, str]) -> str:
    own = environ.get(SUFFIX)
    if not own or device.static or device.host != AUTO:
        return device.suffixes(AUTO)[0]
    known = device.suffixes(AUTO)
    suffix = f".{own.removeprefix('.')}"
    if suffix not in known:
        listed = ", ".join(each.removeprefix(".") for each in known)
        raise UsageError(f"{SUFFIX}: expected one of {listed}, found {own!r}")
    return suffix


def _checked(overrides: object) -> dict[str, object]:
    """Return the overrides that are set, by key; a whole number may be a float.

    Raises:
        UsageError: One is of no field, or of a wrong type.
    """
    if not isinstance(overrides, Mapping):
        found = type(overrides).__name__
        raise UsageError(f"overrides: expected a dict of fields, found {found}")
    given = {}
    for name in sorted(overrides, key=str):
        value = overrides[name]
        if name not in OVERRIDES and name != _OPT:
            raise UsageError.unknown("override", str(name), [*OVERRIDES, _OPT])
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        kind = OVERRIDES.get(name, str)
        if value is not None and type(value) is not kind:
            expected = {bool: "true or false", int: "a whole number", str: "a text"}
            message = f"override {name!r}: expected {expected[kind]}"
            raise UsageError(f"{message}, found {overrides[name]!r}")
        if value is not None:
            given[name] = value
    return given
