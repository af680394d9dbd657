"""From objects to a library: an archive, or a shared library of some platform.

Equal objects give equal bytes: nothing of a product depends on its name, its place or
the time. No library of C is linked: what is missing is found where the product is
loaded, in the process or in libraries that every machine of the platform has. For the
web one of the objects is the runtime, with all that there is.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from mlcx.errors import BuildError
from mlcx.toolchain import programs, zig
from mlcx.toolchain.triple import System, Triple

__all__ = ["LINKERS", "STATIC", "is_native", "make", "native_linker"]

LINKERS = ("ld", "gcc", "cc", "clang")
"""The programs that link for this machine, the first one found; any ELF linker serves,
as only objects are linked. Compilers add objects of their own, and choose a linker."""

_PLAIN = ("-S", "--eh-frame-hdr", "--hash-style=gnu")
_THROUGH = ("-Wl,-S",)

STATIC = (".tar", ".a")
"""Suffixes of what an app links: objects, packed or archived."""

_NAME = "model"
"""What a product is called while it is made, as some formats keep the name."""

_EMULATIONS = {"x86_64": "elf_x86_64", "aarch64": "aarch64linux"}
_ANDROID = ("libc.so", "libm.so")
"""What a library must name to find the C functions that it calls, on Android alone."""

_MACHINES = {"x86_64": "i386:x86-64", "aarch64": "arm64"}
_WINDOWS: dict[str, tuple[str, ...]] = {
    "tvm_ffi.dll": ("TVMFFIErrorSetRaisedFromCStrParts",),
    "vcruntime140.dll": ("memcmp", "memcpy", "memmove", "memset"),
    "api-ms-win-crt-math-l1-1-0.dll": tuple(
        f"{name}{kind}"
        for kind in ("f", "")
        for name in (
            *("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt"),
            *("ceil", "cos", "cosh", "erf", "erfc", "exp", "exp2", "expm1", "floor"),
            *("fma", "fmod", "log", "log10", "log1p", "log2", "nearbyint", "pow"),
            *("remainder", "rint", "round", "sin", "sinh", "sqrt", "tan", "tanh"),
            "trunc",
        )
    ),
    "ntdll.dll": ("__chkstk",),
}
"""Libraries of Windows to the functions that a library may call in them.

Windows has no lookup at loading time without naming the library that is meant.
"""


_PAGE = ("malloc", "stackSave")
"""What a page calls of the C library; those of TVM are exported by themselves."""


def make(
    objects: Sequence[Path],
    suffix: str,
    triple: Triple,
    folder: Path,
    beside: Sequence[Path] = (),
) -> Path:
    """Return the product with ``suffix``, made of ``objects`` in ``folder``.

    Args:
        objects: Members of archives keep their names.
        suffix: ``.tar``, ``.a``, or that of a shared library on ``triple``.
        triple: What the objects are for.
        folder: An empty one, absolute, for what is made on the way too.
        beside: Further objects, in their order, whatever they are called.

    Raises:
        BuildError: A tool is missing or failed, or there is no such product.
    """
    product = folder / f"{_NAME}{suffix}"
    ordered = [*sorted(objects, key=lambda path: path.name), *beside]
    if suffix == ".tar":
        _pack(ordered, product)
    elif suffix == ".a":
        zig.run(["ar", "qcs", product.name, *ordered], folder)
    elif suffix not in triple.suffixes or triple.system not in _SHARED:
        raise BuildError(f"no {suffix} can be linked for {triple.text}")
    elif is_native(triple):
        _native(ordered, product, folder)
    else:
        _SHARED[triple.system](ordered, product, triple, folder)
    return product


def native_linker() -> str | None:
    """Return the path of a program that links for this machine; None: there is none."""
    return next(filter(None, map(shutil.which, LINKERS)), None)


def is_native(triple: Triple) -> bool:
    """Whether a linker of this machine's own makes shared libraries for ``triple``."""
    here = triple.is_here and triple.system == "linux"
    return here and native_linker() is not None


def _pack(objects: Sequence[Path], product: Path) -> None:
    import tarfile  # noqa: PLC0415 (loading it takes milliseconds of every hit)

    with tarfile.open(product, "w", format=tarfile.USTAR_FORMAT) as archive:
        for path in objects:
            member = tarfile.TarInfo(path.name)
            member.size = path.stat().st_size
            member.mode = 0o644
            with path.open("rb") as content:
                archive.addfile(member, content)


def _native(objects: Sequence[Path], product: Path, folder: Path) -> None:
    linker = native_linker()
    assert linker is not None
    options = _PLAIN if Path(linker).name == "ld" else _THROUGH
    words = [linker, "-shared", *options, "-o", product.name, *map(str, objects)]
    programs.run(words, folder, "linking")


def _elf(objects: Sequence[Path], product: Path, triple: Triple, folder: Path) -> None:
    named: list[str] = []
    options: list[str] = []
    if triple.system == "android":
        options = ["-z", "max-page-size=16384", "--no-as-needed"]
        named = [_empty_library(name, triple, folder) for name in _ANDROID]
    emulation = ["-m", _EMULATIONS[triple.architecture]]
    command = ["ld.lld", "-shared", *emulation, "--strip-debug", *options]
    zig.run([*command, "-o", product.name, *objects, *named], folder)


def _empty_library(name: str, triple: Triple, folder: Path) -> str:
    """Make a library without functions, to be named by one that links with it."""
    (folder / "empty").touch()
    emulation = ["-m", _EMULATIONS[triple.architecture]]
    command = ["ld.lld", "-shared", *emulation, "-soname", name, "-o", name]
    zig.run([*command, "-b", "binary", "empty"], folder)
    return name


def _macho(
    objects: Sequence[Path], product: Path, triple: Triple, folder: Path
) -> None:
    # The oldest system on which there are Macs of both architectures.
    version = triple.version or "11.0"
    words = ["cc", "-target", f"{triple.architecture}-macos.{version}"]
    words += ["-dynamiclib", "-nostdlib", "-undefined", "dynamic_lookup", "-Wl,-S"]
    words += [f"-Wl,-install_name,@rpath/{product.name}", "-o", product.name]
    zig.run([*words, *objects], folder)


def _coff(objects: Sequence[Path], product: Path, triple: Triple, folder: Path) -> None:
    machine = _MACHINES[triple.architecture]
    libraries = [
        _import_library(dll, functions, machine, folder)
        for dll, functions in _WINDOWS.items()
    ]
    words = ["lld-link", "/nologo", "/dll", "/noentry", "/Brepro"]
    # The compiler asks for this where floating point is used; its content is not read.
    words += ["/alternatename:_fltused=__tvm_ffi__library_bin"]
    zig.run([*words, f"/out:{product.name}", *objects, *libraries], folder)


def _import_library(
    dll: str, functions: Sequence[str], machine: str, folder: Path
) -> str:
    definition, library = f"{dll}.def", f"{dll}.lib"
    text = "\n".join([f"LIBRARY {dll}", "EXPORTS", *functions, ""])
    (folder / definition).write_text(text)
    words = ["dlltool", "-m", machine, "-d", definition, "-l", library, "-D", dll]
    zig.run(words, folder)
    return library


def _wasm(objects: Sequence[Path], product: Path, triple: Triple, folder: Path) -> None:
    del triple
    # The stack lies above the data, as Emscripten's linker has it.
    words = ["wasm-ld", "--entry=_initialize", "--no-stack-first"]
    words += ["--global-base=1024", "-z", "stack-size=5242880"]
    words += ["--initial-memory=167772160", "--max-memory=2147483648"]
    words += ["--export-table", *(f"--export-if-defined={name}" for name in _PAGE)]
    # The page provides what is not defined.
    words += ["--import-undefined", "--strip-all"]
    zig.run([*words, "-o", product.name, *objects], folder)


_Linking = Callable[[Sequence[Path], Path, Triple, Path], None]

_SHARED: dict[System, _Linking] = {
    "linux": _elf,
    "android": _elf,
    "macos": _macho,
    "windows": _coff,
    "wasm": _wasm,
}
"""System to what links its shared libraries."""
