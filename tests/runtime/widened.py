"""Float32 weights with all their bits.

MLC's format keeps float32 weights as bfloat16, too coarse to compare logits by. Those
of a float16 checkpoint are exact once widened and stored as they are.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def widen(directory: Path) -> None:
    """Rewrite the float16 weights of a model directory as float32, in one shard."""
    index = directory / "tensor-cache.json"
    data, records = bytearray(), []
    for shard in json.loads(index.read_text())["records"]:
        file = directory / shard["dataPath"]
        stored = file.read_bytes()
        for record in shard["records"]:
            assert record["dtype"] == "float16"
            offset, size = record["byteOffset"], record["nbytes"]
            values = np.frombuffer(stored[offset : offset + size], np.float16)
            wide = {"dtype": "float32", "format": "raw", "nbytes": 2 * size}
            records.append({**record, **wide, "byteOffset": len(data)})
            data += values.astype(np.float32).tobytes()
        file.unlink()
    (directory / "wide.bin").write_bytes(data)
    shard = {"dataPath": "wide.bin", "format": "raw-shard", "nbytes": len(data)}
    index.write_text(json.dumps({"records": [{**shard, "records": records}]}))
