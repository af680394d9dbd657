"""The table of schemes, and which layers they touch."""

import pytest

from mlcx.errors import UsageError
from mlcx.quant.group import GroupScheme
from mlcx.quant.packing import Layer
from mlcx.quant.plain import PlainScheme
from mlcx.quant.scheme import SCHEMES, scheme

LINEAR = Layer("model.layers.0.mlp.down_proj", "linear", (64, 96))
EMBEDDING = Layer("model.embed_tokens", "embedding", (99, 64))
HEAD = Layer("lm_head", "linear", (99, 64))


def test_names_say_bits_and_model_dtype() -> None:
    dtypes = {"f16": "float16", "bf16": "bfloat16", "f32": "float32"}
    for name, each in SCHEMES.items():
        assert name == each.name
        if not name.startswith("q"):
            continue
        assert each.model_dtype == dtypes[name.split("_")[0][2:]]
        if isinstance(each, GroupScheme | PlainScheme):
            bits = each.linear.bits if isinstance(each, GroupScheme) else 0
            assert bits == int(name[1])


def test_an_unknown_name_is_refused_with_the_close_and_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'q4f16-1': did you mean 'q4f16_1'\?.*q0f32"):
        scheme("q4f16-1")


def test_four_bits_take_four_words_for_32_elements() -> None:
    packing = scheme("q4f16_1").packing(Layer("a", "linear", (6, 40)))
    assert packing is not None
    assert packing.parts("a.weight", (6, 40)) == {
        "a.q_weight": ((6, 8), "uint32"),
        "a.q_scale": ((6, 2), "float16"),
    }


@pytest.mark.parametrize("name", ["q0f16", "q0bf16", "q0f32"])
def test_no_quantization_packs_no_layer(name: str) -> None:
    assert scheme(name).packing(LINEAR) is None
    assert scheme(name).packing(EMBEDDING) is None


def test_tables_and_experts_are_never_transposed() -> None:
    chosen = scheme("q4f16_0")
    packings = [
        chosen.packing(each)
        for each in (LINEAR, HEAD, EMBEDDING, Layer("e", "experts", (4, 64, 96)))
    ]
    assert [each and each.transposed for each in packings] == [True, True, False, False]


def test_embedding_and_head_stay_as_they_are_where_the_scheme_says_so() -> None:
    chosen = scheme("q4f16_2")
    assert chosen.packing(LINEAR) == scheme("q4f16_1").packing(LINEAR)
    assert chosen.packing(EMBEDDING) is chosen.packing(HEAD) is None


@pytest.mark.parametrize(
    ("layer", "packed"),
    [
        (Layer("model.layers.0.mlp.gate", "linear", (256, 64)), False),
        (Layer("model.layers.0.mlp.gate", "linear", (257, 64)), True),
        (Layer("model.layers.0.mlp.gate_proj", "linear", (8, 64)), True),
        (Layer("gate", "embedding", (8, 64)), True),
        (Layer("choice", "router", (257, 64)), False),
    ],
)
def test_routers_and_small_linear_layers_called_gate_are_not_packed(
    layer: Layer, packed: bool
) -> None:
    assert (scheme("q4f16_1").packing(layer) is not None) is packed
