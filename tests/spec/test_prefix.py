"""Prefixes of symbols, as MLC's runtimes look for them."""

import pytest

from mlcx.errors import UsageError
from mlcx.spec.prefix import automatic, canonical_prefix


@pytest.mark.parametrize(
    ("given", "prefix"),
    [
        ("a", "a_"),
        ("llama_q4f16_1_", "llama_q4f16_1_"),
        ("Llama-3", "Llama_3_"),
        ("x-", "x_"),
        ("", ""),
    ],
)
def test_a_prefix_has_no_dash_and_ends_in_an_underscore(
    given: str, prefix: str
) -> None:
    assert canonical_prefix(given) == prefix
    assert canonical_prefix(prefix) == prefix


@pytest.mark.parametrize("given", ["3b", "a.b", "a b", "é"])
def test_what_no_symbol_begins_with_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match="expected letters, digits"):
        canonical_prefix(given)


def test_the_automatic_prefix_is_that_of_mlc() -> None:
    assert automatic("phi-msft", "q4f16_1") == "phi_msft_q4f16_1_"
    assert automatic("llama", "my.own mix") == "llama_my_own_mix_"
