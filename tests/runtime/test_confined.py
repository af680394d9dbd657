from __future__ import annotations

import operator
import time
from typing import Any

import pytest

from mlcx.errors import BuildError
from mlcx.package.templates import load_template
from mlcx.runtime.confined import confined


def test_the_result_comes_back() -> None:
    assert confined(operator.mul, "é", 3) == "ééé"


@pytest.mark.parametrize(
    ("function", "argument", "seconds", "said"),
    [
        (load_template, "chatlm", 60, "did you mean 'chatml'"),
        (bytearray, 1 << 40, 60, "too much memory"),
        (time.sleep, 600, 0.5, r"more than 0\.5 s"),
    ],
)
def test_what_goes_wrong_there_is_an_error_here(
    function: Any, argument: Any, seconds: float, said: str
) -> None:
    with pytest.raises(BuildError, match=said):
        confined(function, argument, seconds=seconds)
