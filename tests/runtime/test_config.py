from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlcx.errors import InputError
from mlcx.runtime.config import read

VALUE: dict[str, Any] = {
    "vocab_size": 32000,
    "active_vocab_size": 31990,
    "context_window_size": 2048,
    "temperature": 1,
    "top_p": 0.95,
    "repetition_penalty": 1.1,
    "conv_template": {
        "roles": {"user": "U", "assistant": "A"},
        "seps": [" "],
        "stop_token_ids": [2, 7],
    },
}


def written(folder: Path, change: dict[str, Any]) -> Path:
    (folder / "mlc-chat-config.json").write_text(json.dumps({**VALUE, **change}))
    return folder


def test_limits_and_defaults_are_read(tmp_path: Path) -> None:
    config = read(written(tmp_path, {}))
    assert config.context_window_size == 2048
    assert config.active_vocab_size == 31990
    assert config.sizes["vocab_size"] == 32000
    assert config.sampling.temperature == 1.0
    assert config.sampling.top_p == 0.95
    assert config.sampling.repetition_penalty == 1.1
    assert config.sampling.stop_tokens == {2, 7}
    assert config.sampling.presence_penalty == 0.0


@pytest.mark.parametrize("said", [None, 0, -1, 32000, 5_000_000])
def test_without_a_smaller_active_size_the_whole_vocabulary_counts(
    said: int | None, tmp_path: Path
) -> None:
    config = read(written(tmp_path, {"active_vocab_size": said}))
    assert config.active_vocab_size == 32000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocab_size": "many"}, "/vocab_size: expected an integer, found 'many'"),
        ({"temperature": True}, "/temperature: expected a number, found True"),
        (
            {"conv_template": {**VALUE["conv_template"], "stop_str": ["\ud800"]}},
            "/conv_template/stop_str/0: expected a string of whole characters",
        ),
        ({"conv_template": None}, "/conv_template: expected an object, found nothing"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"mlc-chat-config\.json: " + message):
        read(written(tmp_path, change))


def test_a_default_out_of_bounds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mlc-chat-config.json: top_p: expected"):
        read(written(tmp_path, {"top_p": 3.0}))
