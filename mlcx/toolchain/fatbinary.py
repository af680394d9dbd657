"""NVIDIA's program that binds kernels for several architectures into one, a fatbin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlcx.errors import BuildError
from mlcx.toolchain import programs
from mlcx.toolchain.distributions import folder_of, version_of

__all__ = ["DISTRIBUTION", "REMEDY", "bind", "program", "require", "version"]

DISTRIBUTION = "nvidia-cuda-nvcc"
REMEDY = "pip install 'mlcx[cuda-archs]'"

_PROGRAM = "cu13/bin/fatbinary"


def program() -> Path | None:
    """Return the path of the program; None: it is not installed."""
    folder = folder_of("nvidia")
    path = folder / _PROGRAM if folder else None
    return path if path is not None and path.is_file() else None


def version() -> str | None:
    """Return its version; None: it is not installed."""
    return version_of(DISTRIBUTION)


def require() -> Path:
    """Return the path of the program.

    Raises:
        BuildError: It is not installed.
    """
    found = program()
    if found is None:
        raise BuildError(f"CUDA for several architectures needs fatbinary: {REMEDY}")
    return found


def bind(cubins: Mapping[str, bytes], ptx: Mapping[str, bytes]) -> bytes:
    """Return the fatbin of ``cubins`` and ``ptx``, each by its architecture.

    A driver takes the code for its own GPU, else compiles the latest ``ptx`` that is
    not too late for it.

    Raises:
        BuildError: The program is not installed or failed.
    """
    import tempfile  # noqa: PLC0415 (loading it takes milliseconds of every hit)

    found = require()
    with tempfile.TemporaryDirectory(prefix="mlcx-") as folder:
        # Names are relative, so that the folder's cannot get into the product.
        words = [str(found), "-64", "--create=kernels.fatbin"]
        for kind, images in (("elf", cubins), ("ptx", ptx)):
            for arch, content in images.items():
                file = f"{arch}.{kind}"
                (Path(folder) / file).write_bytes(content)
                number = arch.removeprefix("sm_")
                words.append(f"--image3=kind={kind},sm={number},file={file}")
        programs.run(words, Path(folder), "binding")
        return (Path(folder) / "kernels.fatbin").read_bytes()
