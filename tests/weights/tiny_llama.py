"""A small Llama's parameters and checkpoints, written by the safetensors library."""

import json
from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from mlcx.quant.packing import Layer, Packing, Role, Scheme
from mlcx.quant.scheme import scheme
from mlcx.recipe import joined
from mlcx.weights.convert import Converted, convert
from mlcx.weights.mapping import Parameter

Tensors = dict[str, npt.NDArray[np.generic]]

_ATTENTION = "model.layers.{i}.self_attn."
_MLP = "model.layers.{i}.mlp."
RECIPES = {
    **joined(_ATTENTION, "qkv_proj.weight", *(f"{part}_proj.weight" for part in "qkv")),
    **joined(_MLP, "gate_up_proj.weight", "gate_proj.weight", "up_proj.weight"),
}
UNUSED = ("model.layers.{i}.self_attn.rotary_emb.inv_freq",)

CONFIG = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": 160,
    "tie_word_embeddings": False,
}


def _widths(config: Mapping[str, int]) -> tuple[int, int, int, int]:
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head = config.get("head_dim") or hidden // heads
    return (
        hidden,
        config["intermediate_size"],
        heads * head,
        (config["num_key_value_heads"] * head),
    )


def parameters(config: Mapping[str, int], quantization: str) -> list[Parameter]:
    """Return the model's parameters, in the order of its definition."""
    hidden, inner, queries, keys = _widths(config)
    shapes = {"model.embed_tokens": (config["vocab_size"], hidden)}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        shapes |= {
            f"{prefix}self_attn.qkv_proj": (queries + 2 * keys, hidden),
            f"{prefix}self_attn.o_proj": (hidden, queries),
            f"{prefix}mlp.gate_up_proj": (2 * inner, hidden),
            f"{prefix}mlp.down_proj": (hidden, inner),
            f"{prefix}input_layernorm": (hidden,),
            f"{prefix}post_attention_layernorm": (hidden,),
        }
    shapes["model.norm"] = (hidden,)
    if not config["tie_word_embeddings"]:
        shapes["lm_head"] = (config["vocab_size"], hidden)
    chosen = scheme(quantization)
    return [
        Parameter(
            f"{name}.weight", shape, chosen.model_dtype, _packing(chosen, name, shape)
        )
        for name, shape in shapes.items()
    ]


def _packing(chosen: Scheme, name: str, shape: tuple[int, ...]) -> Packing | None:
    if len(shape) != 2:
        return None
    role: Role = "embedding" if name == "model.embed_tokens" else "linear"
    return chosen.packing(Layer(name, role, shape))


def tensors(config: Mapping[str, int] = CONFIG, dtype: str = "float16") -> Tensors:
    """Return a checkpoint's tensors: seeded noise."""
    hidden, inner, queries, keys = _widths(config)
    shapes: dict[str, tuple[int, ...]] = {
        "lm_head.weight": (config["vocab_size"], hidden),
        "model.embed_tokens.weight": (config["vocab_size"], hidden),
        "model.norm.weight": (hidden,),
    }
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        shapes |= {
            f"{prefix}self_attn.q_proj.weight": (queries, hidden),
            f"{prefix}self_attn.k_proj.weight": (keys, hidden),
            f"{prefix}self_attn.v_proj.weight": (keys, hidden),
            f"{prefix}self_attn.o_proj.weight": (hidden, queries),
            f"{prefix}mlp.gate_proj.weight": (inner, hidden),
            f"{prefix}mlp.up_proj.weight": (inner, hidden),
            f"{prefix}mlp.down_proj.weight": (hidden, inner),
            f"{prefix}input_layernorm.weight": (hidden,),
            f"{prefix}post_attention_layernorm.weight": (hidden,),
        }
    rng = np.random.default_rng(0)
    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    return {
        name: (rng.standard_normal(shape) * 0.02).astype(kind)
        for name, shape in shapes.items()
    }


def save(folder: Path, content: Tensors, files: int = 1) -> Path:
    """Write a checkpoint of one file, or of several with an index."""
    folder.mkdir(parents=True, exist_ok=True)
    if files == 1:
        save_file(content, folder / "model.safetensors")
        return folder
    names = sorted(content)
    weight_map = {}
    for number in range(files):
        file = f"model-{number + 1:05d}-of-{files:05d}.safetensors"
        own = names[number::files]
        save_file({name: content[name] for name in own}, folder / file)
        weight_map |= dict.fromkeys(own, file)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


class Recorder:
    """Remembers what a conversion tells."""

    def __init__(self) -> None:
        self.total = 0
        self.earlier = 0
        self.done: list[int] = []
        self.warnings: list[str] = []

    def begin(self, nbytes: int, done: int) -> None:
        self.total = nbytes
        self.earlier = done

    def advance(self, nbytes: int) -> None:
        self.done.append(nbytes)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def run(
    source: Path,
    output: Path,
    quantization: str = "q4f16_1",
    config: Mapping[str, int] = CONFIG,
    recorder: Recorder | None = None,
    threads: int = 2,
    exact_float32: bool = False,
    key: str | None = None,
) -> Converted:
    """Convert a checkpoint of this model."""
    return convert(
        parameters(config, quantization),
        RECIPES,
        UNUSED,
        source,
        output,
        recorder or Recorder(),
        threads=threads,
        exact_float32=exact_float32,
        key=key,
    )


def written(output: Path) -> dict[str, bytes]:
    """Return the content of every file below ``output``, by name."""
    return {path.name: path.read_bytes() for path in output.iterdir()}


def stored(output: Path) -> dict[str, bytes]:
    """Return the bytes of every parameter that the index in ``output`` names."""
    index = json.loads((output / "tensor-cache.json").read_text())
    return {
        record["name"]: (output / shard["dataPath"]).read_bytes()[
            record["byteOffset"] : record["byteOffset"] + record["nbytes"]
        ]
        for shard in index["records"]
        for record in shard["records"]
    }
