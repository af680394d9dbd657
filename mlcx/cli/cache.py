"""The verb ``cache``: see and tidy what builds have stored, here or far away."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcx.errors import UsageError
from mlcx.report.units import byte_count, size

if TYPE_CHECKING:
    from mlcx.store.stock import Stock, Stored

__all__ = ["cache", "cache_arguments"]

_DAY = 86400


def cache_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``cache``."""
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="ACTION", help="what to do with it"
    )
    for name, meaning in _MEANINGS.items():
        action = actions.add_parser(name, help=meaning, description=meaning)
        add = action.add_argument
        add("--json", action="store_true", help="print JSON, for programs")
        _place(action)
        if name == "prune":
            _limits(action)


def _place(parser: argparse.ArgumentParser) -> None:
    add = parser.add_mutually_exclusive_group().add_argument
    meaning = "level to look at, as the environment says where it is"
    add("--level", choices=("local", "remote"), default="local", help=meaning)
    add("--dir", type=Path, metavar="DIR", help="another folder than the user's")
    add("--url", metavar="URL", help="an object store, such as s3://BUCKET/PREFIX")


def _limits(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--days",
        type=_days,
        default=30.0,
        metavar="N",
        help="remove what no build has taken for N days (default: 30)",
    )
    add(
        "--size",
        type=_bytes,
        default=_bytes("10G"),
        metavar="SIZE",
        help="then what was taken longest ago, until SIZE is left, such as 500M or "
        "2GiB (default: 10G)",
    )
    add("--dry-run", action="store_true", help="only say what would be removed")


def cache(args: argparse.Namespace) -> int:
    """List, measure, prune or verify the cache; 1: something in it is damaged."""
    content, lines, status = _ACTIONS[args.action](_stock(args), args)
    print(json.dumps(content, indent=2) if args.json else "\n".join(lines))
    return status


def _stock(args: argparse.Namespace) -> Stock:
    """Return the level that the arguments name."""
    from mlcx.store.settings import URL, settings

    if args.dir is not None:
        if not args.dir.exists():  # while that of builds is there after the first one
            raise UsageError(f"cache {args.dir}: there is no such folder")
        return _folder(args.dir)
    if args.url is not None:
        return _objects(args.url)
    chosen = settings()
    if args.level == "remote":
        if chosen.url is None:
            raise UsageError(f"there is no second level: set {URL}, or give --url")
        return _objects(chosen.url)
    if chosen.folder is None:
        raise UsageError("the cache is switched off: name one with --dir")
    return _folder(chosen.folder)


def _folder(path: Path) -> Stock:
    from mlcx.store.folder import FolderStore

    if path.exists() and not path.is_dir():
        raise UsageError(f"cache {path}: expected a folder, found a file")
    return FolderStore(path)


def _objects(url: str) -> Stock:
    from mlcx.store.objects import ObjectStore
    from mlcx.store.remote import RemoteStore

    return RemoteStore(ObjectStore(url, creates=False))


_Outcome = tuple[dict[str, Any], list[str], int]


def _list(stock: Stock, args: argparse.Namespace) -> _Outcome:
    del args
    entries = stock.stored()
    lines = [_line(each) for each in entries] or [f"{stock.name}: nothing"]
    return {"entries": [_row(each) for each in entries]}, lines, 0


def _size(stock: Stock, args: argparse.Namespace) -> _Outcome:
    del args
    from mlcx.store.prune import content_bytes

    entries = stock.stored()
    count = content_bytes(entries)
    line = f"{stock.name}: {_entries(len(entries))}, {size(count)}"
    content = {"cache": stock.name, "entries": len(entries), "bytes": count}
    return content, [line], 0


def _prune(stock: Stock, args: argparse.Namespace) -> _Outcome:
    from mlcx.store.prune import content_bytes, superfluous

    entries = stock.stored()
    removed = superfluous(entries, time.time() - args.days * _DAY, args.size)
    if not args.dry_run:
        stock.remove([each.entry for each in removed])
    kept = [each for each in entries if each not in removed]
    freed = content_bytes(entries) - content_bytes(kept)
    verb = "would remove" if args.dry_run else "removed"
    lines = [f"{verb} {_line(each)}" for each in removed]
    lines += [f"{stock.name}: {verb} {_entries(len(removed))}, {size(freed)}"]
    rows = [_row(each) for each in removed]
    content = {"removed": rows, "bytes": freed, "dry_run": args.dry_run}
    return content, lines, 0


def _verify(stock: Stock, args: argparse.Namespace) -> _Outcome:
    del args
    damaged = dict(stock.check())
    lines = [f"{key}: {wrong}" for key, wrong in damaged.items()]
    lines += [
        f"{stock.name}: {_entries(len(damaged))} damaged; builds make them again"
        if damaged
        else f"{stock.name}: all {_entries(len(stock.stored()))} as they were stored"
    ]
    content = {"damaged": [{"key": key, "error": damaged[key]} for key in damaged]}
    return content, lines, 1 if damaged else 0


_ACTIONS: dict[str, Callable[[Stock, argparse.Namespace], _Outcome]] = {
    "list": _list,
    "size": _size,
    "prune": _prune,
    "verify": _verify,
}
_MEANINGS = {
    "list": "Print what is stored, what was taken last first.",
    "size": "Print how many entries there are, and the bytes that they take.",
    "prune": "Remove what was not used for long, and what is too much.",
    "verify": "Compare everything stored with its hash.",
}


def _line(each: Stored) -> str:
    entry = each.entry
    day = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.used))
    return f"{entry.key[:12]}  {day}  {size(entry.size):>7}  {entry.label}"


def _row(each: Stored) -> dict[str, Any]:
    used = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(each.used))
    entry = each.entry
    return {
        "key": entry.key,
        "sha256": entry.sha256,
        "bytes": entry.size,
        "used": used,
        "label": entry.label,
    }


def _entries(count: int) -> str:
    return f"{count} {'entry' if count == 1 else 'entries'}"


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < 1e6:
        message = f"expected a number of days from 0 on, found {text!r}"
        raise argparse.ArgumentTypeError(message)
    return days


def _bytes(text: str) -> int:
    try:
        return byte_count(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
