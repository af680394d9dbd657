"""Conversation templates: how the messages of a chat become a prompt.

One JSON file each in ``conv_templates``, whose ``schema.json`` says what they hold.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlcx.artifact import read_json
from mlcx.errors import UsageError

__all__ = ["TEMPLATES", "load_template", "template_names"]

TEMPLATES = Path(__file__).parent / "conv_templates"

_PHANTOM = "llama_default"

_ROLE_TEMPLATES = {
    "user": "{user_message}",
    "assistant": "{assistant_message}",
    "tool": "{tool_message}",
}


def template_names() -> list[str]:
    """Return the names of all templates, sorted."""
    return sorted(
        path.stem for path in TEMPLATES.glob("*.json") if path.stem != "schema"
    )


def load_template(name: str) -> dict[str, Any]:
    """Return the ``conv_template`` object of mlc-chat-config.json: every key, in order.

    Raises:
        UsageError: There is none of that name; the message names those that exist.
    """
    names = template_names()
    if name == _PHANTOM:
        raise UsageError(
            f"{name!r}: MLC LLM's command offers this name but has no such template; "
            "take llama-2, llama-3 or llama-3_1, as the model is"
        )
    if name not in names:
        raise UsageError.unknown("conversation template", name, names)
    given = read_json(TEMPLATES / f"{name}.json")
    given.pop("$schema")
    defaults: dict[str, Any] = {
        "name": None,
        "system_template": "{system_message}",
        "system_message": "",
        "system_prefix_token_ids": None,
        "add_role_after_system_message": True,
        "roles": {},
        "role_templates": {},
        "messages": [],
        "seps": [],
        "role_content_sep": "",
        "role_empty_sep": "",
        "stop_str": [],
        "stop_token_ids": [],
        "strip_reasoning_in_history": False,
        "function_string": "",
        "use_function_calling": False,
    }
    roles = _ROLE_TEMPLATES | given.get("role_templates", {})
    return defaults | given | {"role_templates": roles}
