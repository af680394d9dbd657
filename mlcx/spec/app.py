"""What an app takes besides its models: the one static library that it links.

Apps on phones cannot load a library of their own, so all are linked into them.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlcx.spec.devices import DEVICES
from mlcx.spec.types import AppEntry, LibraryJob, PrebuiltJob, StaticLibJob

__all__ = ["static_lib"]

_ANDROID = "android"


def static_lib(
    device: str,
    libraries: Sequence[LibraryJob],
    prebuilt: Sequence[PrebuiltJob],
    app: Sequence[AppEntry],
) -> StaticLibJob | None:
    """Return the job that archives the libraries of an app; None: it loads them.

    Its file has the name that MLC's apps link: iphone and macabi share one. Ready-made
    libraries come first, as in MLC.
    """
    made = [job.library for job in prebuilt] + [job.library for job in libraries]
    if not made or not DEVICES[device].static:
        return None
    platform = device if device.startswith(_ANDROID) else "iphone"
    return StaticLibJob(
        device=device,
        libraries=tuple(dict.fromkeys(made)),
        names=tuple(dict.fromkeys(entry.model_lib for entry in app)),
        library=f"lib/libmodel_{platform.partition(':')[0]}.a",
    )
