"""A checkpoint of Llama with one layer, all of its weights 1."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "rms_norm_eps": 1e-5,
    "vocab_size": 32,
    "max_position_embeddings": 128,
    "tie_word_embeddings": True,
}
LAYER = "model.layers.0."
SHAPES = {
    "model.embed_tokens.weight": (32, 64),
    f"{LAYER}self_attn.q_proj.weight": (64, 64),
    f"{LAYER}self_attn.k_proj.weight": (64, 64),
    f"{LAYER}self_attn.v_proj.weight": (64, 64),
    f"{LAYER}self_attn.o_proj.weight": (64, 64),
    f"{LAYER}mlp.gate_proj.weight": (96, 64),
    f"{LAYER}mlp.up_proj.weight": (96, 64),
    f"{LAYER}mlp.down_proj.weight": (64, 96),
    f"{LAYER}input_layernorm.weight": (64,),
    f"{LAYER}post_attention_layernorm.weight": (64,),
    "model.norm.weight": (64,),
}


def write(folder: Path) -> Path:
    """Make ``folder``, a checkpoint, and return it."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    weights = {name: np.ones(shape, np.float16) for name, shape in SHAPES.items()}
    save_file(weights, folder / "model.safetensors")
    return folder
