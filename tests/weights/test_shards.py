"""The layout of shards, the text of the index, and the bytes of float32."""

import json
import struct

import numpy as np
import pytest

from mlcx.weights.shards import Record, encode, index_text, lay_out


def halves(**elements: int) -> list[Record]:
    return [Record(name, (count,), "float16") for name, count in elements.items()]


def names(records: list[Record], limit: int) -> list[list[str]]:
    return [
        [record.name for record in each.records] for each in lay_out(records, limit)
    ]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (halves(a=10, b=10, c=10), [["a", "b", "c"]]),
        (halves(a=20, b=20, c=9), [["a", "b", "c"]]),
        (halves(a=20, b=20, c=10), [["a", "b"], ["c"]]),
        (halves(a=40, b=20), [["a"], ["b"]]),
        (halves(a=49), [["a"]]),
        (halves(a=50), [["a"]]),
        (halves(a=10, big=45, b=10), [["big"], ["a", "b"]]),
        (halves(a=10, big=25, b=10), [["a", "big", "b"]]),
        (halves(a=10, big=500, b=10, bigger=600), [["big"], ["bigger"], ["a", "b"]]),
        ([], []),
    ],
)
def test_a_shard_stays_below_the_limit_unless_a_record_is_half_of_it(
    records: list[Record], expected: list[list[str]]
) -> None:
    assert names(records, 100) == expected


def test_float32_counts_as_the_two_bytes_that_it_is_stored_in() -> None:
    record = Record("a", (3, 5), "float32")
    assert (record.memory_bytes, record.nbytes) == (60, 30)


def test_shards_are_numbered_in_the_order_in_which_they_close() -> None:
    shards = lay_out(halves(a=10, big=45, b=10), 100)
    assert [shard.file for shard in shards] == [
        "params_shard_0.bin",
        "params_shard_1.bin",
    ]
    assert [shard.nbytes for shard in shards] == [90, 40]


INDEX = """{
    "metadata": {
        "ParamSize": 2,
        "ParamBytes": 28.0,
        "BitsPerParam": 22.4
    },
    "records": [
        {
            "dataPath": "params_shard_0.bin",
            "format": "raw-shard",
            "nbytes": 20,
            "records": [
                {
                    "name": "a.q_weight",
                    "shape": [
                        1,
                        3
                    ],
                    "dtype": "uint32",
                    "format": "f32-to-bf16",
                    "nbytes": 12,
                    "byteOffset": 0
                },
                {
                    "name": "a.q_scale",
                    "shape": [
                        4
                    ],
                    "dtype": "float32",
                    "format": "f32-to-bf16",
                    "nbytes": 8,
                    "byteOffset": 12
                }
            ],
            "md5sum": "00ff"
        }
    ]
}"""


def test_the_index_is_that_of_the_format_to_the_letter() -> None:
    records = [
        Record("a.q_weight", (1, 3), "uint32"),
        Record("a.q_scale", (4,), "float32"),
    ]
    assert index_text(lay_out(records), ["00ff"], 10) == INDEX


def test_the_second_index_describes_float32_as_the_bfloat16_that_is_stored() -> None:
    records = [Record("a", (4,), "float32"), Record("b", (1,), "float16")]
    text = index_text(lay_out(records), ["00"], 5, as_stored=True)
    a, b = json.loads(text)["records"][0]["records"]
    assert (a["dtype"], a["format"], a["nbytes"]) == ("bfloat16", "raw", 8)
    assert (b["dtype"], b["format"], b["nbytes"]) == ("float16", "f32-to-bf16", 2)


def test_float32_that_is_stored_as_it_is_is_raw_and_of_its_full_size() -> None:
    record = Record("a", (4,), "float32", exact=True)
    (shard,) = lay_out([record])
    (a,) = json.loads(index_text([shard], ["00"], 4))["records"][0]["records"]
    assert (a["dtype"], a["format"], a["nbytes"]) == ("float32", "raw", 16)
    assert (record.memory_bytes, shard.nbytes) == (16, 16)


def bits(value: float) -> int:
    return int(struct.unpack("<I", struct.pack("<f", value))[0])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.0, 0x3F80),
        (-2.5, 0xC020),
        (0.1, 0x3DCD),
        (3.14159265, 0x4049),
        (1e-3, 0x3A83),
        (65504.0, 0x4780),
        (1.00390625, 0x3F80),
        (1.01171875, 0x3F82),
        (0.0, 0),
        (-0.0, 0x8000),
        (float(np.finfo(np.float32).max), 0x7F7F),
        (-float(np.finfo(np.float32).max), 0xFF7F),
    ],
)
def test_float32_is_stored_as_known_bits(value: float, expected: int) -> None:
    values = np.array([1.0, value], np.float32)
    assert encode(values)[1] == expected
    assert values.view(np.uint32)[1] == bits(value)


def test_what_is_not_float32_is_stored_as_it_is() -> None:
    values = np.arange(3, dtype=np.uint32)
    assert encode(values) is values
