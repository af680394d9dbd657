from __future__ import annotations

from pathlib import Path

import pytest

from mlcx.package.templates import load_template, template_names
from mlcx.runtime.chat import Conversation, conversation
from mlcx.runtime.fields import Fields
from mlcx.runtime.likeness import Likeness, alike
from tests.runtime.chat_templates import LAYOUTS
from tests.runtime.test_chat_template import read


@pytest.fixture(scope="module")
def templates() -> dict[str, Conversation]:
    return {
        name: conversation(Fields(name, load_template(name)))
        for name in template_names()
    }


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_template_of_a_family_is_found_by_its_chat_template(
    tmp_path: Path, templates: dict[str, Conversation], name: str
) -> None:
    layout = LAYOUTS[name]
    own = read(tmp_path, layout.template, **layout.tokens)
    best = alike(own, templates, layout.ends)[0]
    assert best == Likeness(layout.expected, layout.exact)


def test_a_layout_of_no_template_is_like_none(
    tmp_path: Path, templates: dict[str, Conversation]
) -> None:
    own = read(tmp_path, "{% for m in messages %}#{{ m.content }}{% endfor %}")
    assert alike(own, templates, ()) == []


@pytest.mark.parametrize("template", ["always the same", "{{ 1 / 0 }}"])
def test_a_chat_template_that_says_nothing_of_turns_is_like_none(
    tmp_path: Path, templates: dict[str, Conversation], template: str
) -> None:
    assert alike(read(tmp_path, template), templates, ()) == []
