"""Products with weights whose words hold columns."""

import numpy as np
import pytest

from .matmul_reference import assert_product, every_target

LENGTHS = [(rows,) for rows in (1, 2, 3, 13)]
"""Numbers of rows that among them reach every kernel."""


@every_target
@pytest.mark.parametrize(("n", "k"), [(1032, 256), (8, 128)])
def test_equals_the_product_in_float64(
    target_name: str, n: int, k: int, rng: np.random.Generator
) -> None:
    assert_product(target_name, "awq", n, k, ("rows",), LENGTHS, rng)
