"""llama.cpp's turn in ``decode.py``: the same shape at Q4_0, through llama-cpp-python.

Run by ``decode.py`` with a Python that has llama-cpp-python and gguf:
``decode_llama.py WORK prepare`` or ``decode_llama.py WORK run PROMPT TOKENS THREADS``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import gguf
import llama_cpp
import numpy as np
from numpy.typing import NDArray
from random_models import EPSILON, SCALE, SHAPE, THETA
from turns import timed_turn

GROUP = 32


def run(file: Path, prompt: int, tokens: int, threads: int) -> dict[str, object]:
    """Return seconds; see ``timed_turn``."""
    model = llama_cpp.Llama(
        str(file), n_ctx=512, n_threads=threads, n_threads_batch=threads, verbose=False
    )
    return timed_turn(model.reset, model.eval, prompt, tokens)


def write_gguf(file: Path) -> None:
    """Write the shape with Q4_0 for every matrix, as ``llama-quantize --pure`` does."""
    writer = gguf.GGUFWriter(file, "llama")
    heads, layers = SHAPE["num_attention_heads"], SHAPE["num_hidden_layers"]
    writer.add_context_length(SHAPE["max_position_embeddings"])
    writer.add_embedding_length(SHAPE["hidden_size"])
    writer.add_block_count(layers)
    writer.add_feed_forward_length(SHAPE["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(SHAPE["num_key_value_heads"])
    writer.add_rope_dimension_count(SHAPE["hidden_size"] // heads)
    writer.add_rope_freq_base(THETA)
    writer.add_layer_norm_rms_eps(EPSILON)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    _add_vocabulary(writer, SHAPE["vocab_size"])
    random = np.random.default_rng(2)
    for name, (rows, columns) in _matrices(layers).items():
        blocks = _q4_0(random, rows, columns)
        writer.add_tensor(name, blocks, raw_dtype=gguf.GGMLQuantizationType.Q4_0)
    norms = [f"blk.{n}.{kind}_norm" for n in range(layers) for kind in ("attn", "ffn")]
    for name in [*norms, "output_norm"]:
        writer.add_tensor(f"{name}.weight", np.ones(SHAPE["hidden_size"], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_vocabulary(writer: object, size: int) -> None:
    tokens = ["<unk>", "<s>", "</s>", *(f"t{n}" for n in range(3, size))]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * size)
    writer.add_token_types([2, 3, 3, *[1] * (size - 3)])


def _matrices(layers: int) -> dict[str, tuple[int, int]]:
    """Return each matrix's rows (outputs) and columns (inputs)."""
    hidden, inner = SHAPE["hidden_size"], SHAPE["intermediate_size"]
    keys = hidden // SHAPE["num_attention_heads"] * SHAPE["num_key_value_heads"]
    block = {
        "attn_q": (hidden, hidden),
        "attn_k": (keys, hidden),
        "attn_v": (keys, hidden),
        "attn_output": (hidden, hidden),
        "ffn_gate": (inner, hidden),
        "ffn_up": (inner, hidden),
        "ffn_down": (hidden, inner),
    }
    table = {"token_embd.weight": (SHAPE["vocab_size"], hidden)}
    for layer in range(layers):
        table |= {f"blk.{layer}.{name}.weight": size for name, size in block.items()}
    return {**table, "output.weight": (SHAPE["vocab_size"], hidden)}


def _q4_0(random: np.random.Generator, rows: int, columns: int) -> NDArray[np.uint8]:
    """Return (rows, bytes): blocks of a float16 scale and 32 codes in 16 bytes."""
    count = rows * columns // GROUP
    blocks = np.empty((count, 18), np.uint8)
    blocks[:, :2] = np.frombuffer(np.float16(SCALE).tobytes(), np.uint8)
    blocks[:, 2:] = np.frombuffer(random.bytes(16 * count), np.uint8).reshape(count, 16)
    return blocks.reshape(rows, -1)


def main() -> None:
    """Do what the arguments say; see above."""
    work, action, *numbers = sys.argv[1:]
    file = Path(work) / "model.gguf"
    if action == "run":
        print(json.dumps(run(file, *map(int, numbers))))
    elif not file.exists():
        write_gguf(file)


if __name__ == "__main__":
    main()
