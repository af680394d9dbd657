from __future__ import annotations

from pathlib import Path

from mlcx.package.app_config import write_app_config
from mlcx.spec.types import AppEntry


def test_rows_have_the_keys_that_mlc_writes_in_its_order(tmp_path: Path) -> None:
    entries = (
        AppEntry("local", "local_lib", "local", None, 123),
        AppEntry("remote", "remote_lib", None, "https://host/repo", None),
    )
    write_app_config(entries, tmp_path / "app.json")
    assert (tmp_path / "app.json").read_text() == (
        "{\n"
        '  "model_list": [\n'
        "    {\n"
        '      "model_id": "local",\n'
        '      "model_lib": "local_lib",\n'
        '      "model_path": "local",\n'
        '      "estimated_vram_bytes": 123\n'
        "    },\n"
        "    {\n"
        '      "model_id": "remote",\n'
        '      "model_lib": "remote_lib",\n'
        '      "model_url": "https://host/repo"\n'
        "    }\n"
        "  ]\n"
        "}\n"
    )
