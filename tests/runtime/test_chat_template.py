from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from mlcx.errors import BuildError, InputError
from mlcx.runtime.chat import Message
from mlcx.runtime.chat_template import ChatTemplate, chat_template
from tests.runtime.chat_templates import LAYOUTS

TURNS = [Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "Bye")]
PLAIN = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"


def checkpoint(folder: Path, template: Any, **fields: Any) -> Path:
    folder.mkdir(exist_ok=True)
    content = {"chat_template": template, **fields}
    (folder / "tokenizer_config.json").write_text(json.dumps(content))
    return folder


def read(folder: Path, template: Any, **fields: Any) -> ChatTemplate:
    found = chat_template(checkpoint(folder, template, **fields))
    assert found is not None
    return found


def test_a_checkpoint_may_have_none(tmp_path: Path) -> None:
    assert chat_template(tmp_path) is None
    assert chat_template(checkpoint(tmp_path, None)) is None


def test_of_several_the_default_one_counts(tmp_path: Path) -> None:
    several = [
        {"name": "tool_use", "template": "tools"},
        {"name": "default", "template": PLAIN},
    ]
    assert read(tmp_path, several).prompt(TURNS[:1], "Be kind") == (
        "system: Be kind\nuser: Hi\n"
    )


def test_a_file_of_its_own_counts_before_the_tokenizers_config(tmp_path: Path) -> None:
    checkpoint(tmp_path, "config")
    (tmp_path / "chat_template.json").write_text('{"chat_template": "json"}')
    assert read(tmp_path, "config").prompt(TURNS) == "json"
    (tmp_path / "chat_template.jinja").write_text("jinja")
    assert read(tmp_path, "config").prompt(TURNS) == "jinja"


def test_special_tokens_are_texts_or_objects(tmp_path: Path) -> None:
    fields = {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False}}
    template = "{{ bos_token }}|{{ eos_token }}|{{ unk_token }}"
    assert read(tmp_path, template, **fields).prompt(TURNS) == "<s>|</s>|"


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('no system') }}",
        "{{ 1 / 0 }}",
        "{{ messages[0]['content'] + 1 }}",
        "{{ messages.append(1) }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ range(10 ** 9) }}",
    ],
)
def test_a_template_that_fails_or_oversteps_is_named(
    tmp_path: Path, template: str
) -> None:
    found = read(tmp_path, template)
    with pytest.raises(BuildError, match=r"tokenizer_config.json: the chat template"):
        found.prompt(TURNS)


def test_the_tag_of_what_a_model_has_said_is_passed_through(tmp_path: Path) -> None:
    tagged = (
        "{% set end = '.' %}{% for m in messages %}"
        "{% if m.role == 'assistant' %}{% generation %}\n"
        "{% set end = '!' %}{{ loop.index }} {{ m.content ~ end }}\n"
        "{% endgeneration %}{% else %}{{ m.content ~ end }} {% endif %}{% endfor %}"
    )
    assert read(tmp_path, tagged).prompt(TURNS) == "Hi. 2 Hello!\nBye. "


def test_a_template_once_read_needs_its_files_no_more(tmp_path: Path) -> None:
    here = checkpoint(tmp_path / "model", PLAIN + "{{ eos_token }}", eos_token="</s>")
    found = pickle.dumps(chat_template(here))
    shutil.rmtree(here)
    assert pickle.loads(found).prompt(TURNS[:1]) == "user: Hi\n</s>"


@pytest.mark.parametrize("template", ["{% for %}", 7, ["text"], {"name": "default"}])
def test_what_is_no_template_is_an_error_of_its_file(
    tmp_path: Path, template: Any
) -> None:
    with pytest.raises(InputError, match=r"tokenizer_config.json: .*template"):
        read(tmp_path, template).prompt(TURNS)


def test_a_template_that_is_no_text_is_an_error_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"chat_template.jinja: cannot be read"):
        chat_template(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_prompts_are_those_of_transformers(tmp_path: Path, name: str) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    layout = LAYOUTS[name]
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()),
        chat_template=layout.template,
        **layout.tokens,
    )
    turns = [{"role": m.role, "content": m.content} for m in TURNS]
    expected = tokenizer.apply_chat_template(
        turns, tokenize=False, add_generation_prompt=True
    )
    assert read(tmp_path, layout.template, **layout.tokens).prompt(TURNS) == expected
