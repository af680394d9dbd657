from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlcx.errors import InputError, MlcxError, UsageError
from mlcx.runtime import config, load
from mlcx.runtime.device import LoadedModel, open_library
from mlcx.runtime.locate import Files
from mlcx.runtime.sampler import Sampling

from . import numpy_llama

TEXTS = [[5, 17, 96, 0, 42], [7], list(range(40, 59)), [3, 3, 3]]
CLOSE = {"rtol": 0, "atol": 2e-4}


@pytest.fixture
def model(tiny: Files) -> LoadedModel:
    settings = config.read(tiny.directory)
    library = open_library(tiny.library, "cpu")
    return load.load_model(library, tiny, settings, 4, 128)


@pytest.fixture
def expected(tiny_config: dict[str, Any], tiny_weights: dict[str, Any]) -> Any:
    def rows(tokens: Sequence[int]) -> NDArray[np.float64]:
        return numpy_llama.logits(tiny_config, tiny_weights, tokens)

    return rows


def test_a_text_fed_in_any_pieces_has_the_logits_of_the_whole(
    model: LoadedModel, expected: Any
) -> None:
    text = [int(n) for n in np.random.default_rng(2).integers(0, 99, 60)]
    model.add(0)
    rows = [
        model.forward("batch_verify", {0: text[:17]}),
        model.forward("batch_prefill", {0: text[17:20]}, range(3)),
        *(model.forward("decode", {0: [token]}) for token in text[20:24]),
        *(model.forward("batch_decode", {0: [token]}) for token in text[24:28]),
    ]
    np.testing.assert_allclose(np.concatenate(rows), expected(text[:28]), **CLOSE)
    last = model.forward("prefill", {0: text[28:]})
    np.testing.assert_allclose(last, expected(text)[-1:], **CLOSE)


def test_texts_fed_together_have_the_logits_of_each_alone(
    model: LoadedModel, expected: Any
) -> None:
    for sequence in range(len(TEXTS)):
        model.add(sequence)
    rows = model.forward("batch_prefill", dict(enumerate(TEXTS)))
    alone = np.stack([expected(text)[-1] for text in TEXTS])
    np.testing.assert_allclose(rows, alone, **CLOSE)
    rows = model.forward("batch_decode", {2: [11], 0: [12], 3: [13]})
    longer = ([*TEXTS[2], 11], [*TEXTS[0], 12], [*TEXTS[3], 13])
    alone = np.stack([expected(text)[-1] for text in longer])
    np.testing.assert_allclose(rows, alone, **CLOSE)


def test_a_removed_sequence_leaves_its_room_to_others(
    model: LoadedModel, expected: Any
) -> None:
    for sequence in range(40):
        model.add(sequence)
        row = model.forward("prefill", {sequence: TEXTS[2]})
        model.remove(sequence)
    np.testing.assert_allclose(row, expected(TEXTS[2])[-1:], **CLOSE)


def test_the_engine_answers_several_prompts_as_the_reference_does(
    tiny: Files, expected: Any
) -> None:
    settings = config.read(tiny.directory)
    engine = load.load_engine(tiny, settings, "cpu", slots=3, context=64)
    sampling = Sampling(temperature=0.0, max_tokens=8)
    requests = [engine.submit(text, sampling) for text in TEXTS]
    while engine.step():
        pass
    for text, request in zip(TEXTS, requests, strict=True):
        tokens = list(text)
        for _ in range(8):
            row = expected(tokens)[-1][: settings.active_vocab_size]
            tokens.append(int(row.argmax()))
        assert request.output == tokens[len(text) :]


def test_a_full_cache_is_an_error_that_says_so(model: LoadedModel) -> None:
    model.add(0)
    chunk = [1] * 32
    for _ in range(4 * 128 // 32):
        model.forward("prefill", {0: chunk})
    model.forward("prefill", {0: [1]})
    with pytest.raises(MlcxError, match=r"prefill failed: .*KV cache is full"):
        model.forward("prefill", {0: chunk})


def test_a_library_is_found_by_its_bare_name(
    tiny: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny.library.parent)
    assert open_library(Path(tiny.library.name), "cpu").metadata.max_batch_size == 4


def test_a_function_that_the_library_lacks_is_named(tiny: Files) -> None:
    library = open_library(tiny.library, "cpu")
    with pytest.raises(
        InputError, match=r"model\.so: the library has no function sing"
    ):
        library.function("sing")


def test_a_file_that_is_no_library_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.so"
    file.write_bytes(b"\x7fELF, but no more")
    with pytest.raises(InputError, match=r"model\.so: not a model library"):
        open_library(file, "cpu")


def test_a_device_that_is_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="device abacus: this runtime runs on cpu"):
        open_library(tmp_path / "model.so", "abacus")


def test_more_sequences_than_the_library_was_compiled_for_are_refused(
    tiny: Files,
) -> None:
    settings = config.read(tiny.directory)
    with pytest.raises(UsageError, match="5 sequences: expected 1 to 4"):
        load.load_engine(tiny, settings, "cpu", slots=5)


def test_a_context_that_the_library_lacks_is_refused(tiny: Files) -> None:
    settings = config.read(tiny.directory)
    with pytest.raises(UsageError, match="context of 129 tokens: expected 1 to 128"):
        load.load_engine(tiny, settings, "cpu", context=129)


def test_a_config_with_other_ids_than_the_library_is_refused(tiny: Files) -> None:
    settings = config.read(tiny.directory)
    rows = settings.vocab_size
    grown = dataclasses.replace(settings, vocab_size=5_000_000)
    place = r"mlc-chat-config\.json: /vocab_size: "
    message = f"expected {rows}, .* model.embed_tokens.weight, found 5000000"
    with pytest.raises(InputError, match=place + message):
        load.load_engine(tiny, grown, "cpu")


def test_running_a_library_never_loads_the_compiler(tiny: Files) -> None:
    code = (
        "import sys; from pathlib import Path; "
        "from mlcx.runtime.device import open_library; "
        f"print(open_library(Path({str(tiny.library)!r}), 'cpu').metadata.model_type, "
        "'tvm' in sys.modules, 'compiler' in Path('/proc/self/maps').read_text())"
    )
    output = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert output.split() == ["llama", "False", "False"]
