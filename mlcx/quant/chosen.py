"""The quantization that a person asks for: by name, or by a recipe of a mixed one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mlcx.artifact import read_json
from mlcx.errors import UsageError
from mlcx.quant.mixed import mixed
from mlcx.quant.packing import Scheme
from mlcx.quant.scheme import SCHEMES, scheme

__all__ = ["chosen"]


def chosen(text: str) -> Scheme:
    """Return the scheme that ``text`` names or declares.

    Args:
        text: The name of a scheme; or a recipe, as a file ``….json`` or as JSON that
            begins with a brace. A recipe's ``name`` is the file's, unless it gives one.

    Raises:
        InputError: The file is missing or no JSON object.
        UsageError: The scheme is unknown, or the recipe not what it must be.
    """
    if text.startswith("{"):
        recipe = _inline(text)
    elif text not in SCHEMES and text.endswith(".json"):
        recipe = {"name": Path(text).stem, **read_json(Path(text))}
    else:
        return scheme(text)
    return mixed(str(recipe.pop("name", "")), recipe)


def _inline(text: str) -> dict[str, Any]:
    try:
        recipe = json.loads(text)
    except json.JSONDecodeError as error:
        message = f"quantization: not JSON at character {error.pos}: {error.msg}"
        raise UsageError(message) from error
    except RecursionError as error:
        raise UsageError("quantization: lists are nested too deep") from error
    except ValueError as error:  # Python's limit on the digits that it converts
        raise UsageError("quantization: a number has too many digits") from error
    assert isinstance(recipe, dict), "it starts with a brace"
    return recipe
