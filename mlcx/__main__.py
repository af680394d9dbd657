"""``python -m mlcx`` and the ``mlcx`` command; loads nothing that takes time."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        0 done, 1 failed, 2 wrong usage or wrong input, 130 interrupted.
    """
    try:
        # In here, since it takes long enough for Ctrl-C.
        from mlcx.cli.command import run  # noqa: PLC0415

        return run(sys.argv[1:] if argv is None else list(argv))
    except KeyboardInterrupt:
        sys.stderr.write("mlcx: interrupted\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
