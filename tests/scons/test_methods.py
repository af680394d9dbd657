"""The methods that the tool adds to an environment, in a script of one's own."""

from __future__ import annotations

import os
import sys

import pytest

from .project import Project


def test_two_environments_share_a_build_folder(project: Project) -> None:
    project.write_spec("other.json", "one")
    with (project.root / "SConstruct").open("a") as script:
        script.write("env['OUTPUT'] = 'more'\nenv.MLCPackage('other.json')\n")
    done = project.scons("dist/lib", "more/lib")
    assert (done.returncode, done.stderr) == (0, "")
    assert [call for call in project.calls() if call.startswith("compile")] == [
        "compile dist/lib/one.so",
        "compile dist/lib/two.so",
        "compile more/lib/one.so",
    ]
    assert project.report()["dist/lib/one.so"]["status"] == "built"
    assert (project.root / "more/report.json").exists()


def test_a_script_obeys_the_command_line_or_says_that_it_does_not(
    project: Project,
) -> None:
    script = project.root / "SConstruct"
    text = script.read_text()
    script.write_text(text.replace("MLCCommandLine", "MLCPackage"))
    project.write_spec("other.json", "one")
    done = project.scons("-n", "SPEC=other.json")
    assert done.returncode == 2
    ignored = "this script builds mlc-package-config.json whatever SPEC says"
    assert done.stderr.startswith(f"mlcx: SPEC=other.json: {ignored}")
    slips = ("MANIFST=1", "cache_dri=none", "mine=1")
    done = project.scons("-n", "SPEC=mlc-package-config.json", *slips)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "mlcx: warning: MANIFST= means nothing to mlcx: did you mean MANIFEST=?",
        "mlcx: warning: cache_dri= means nothing to mlcx: did you mean CACHE_DIR=?",
    ]
    script.write_text(
        text.replace(
            'MLCCommandLine("mlc-package-config.json")', "MLCPackage(ARGUMENTS['SPEC'])"
        )
        + "ARGUMENTS.get('MANIFST')\n"
    )
    done = project.scons("-n", "SPEC=other.json", "MANIFST=1")
    assert (done.returncode, done.stderr) == (0, "")


def test_methods_build_without_a_spec(project: Project) -> None:
    script = project.root / "SConstruct"
    text = script.read_text().replace(
        'env.MLCCommandLine("mlc-package-config.json")',
        'env.MLCWeights("out/one", "models/one", quantization="q4f16_1",'
        ' conv_template="chatml")\n'
        'env.MLCLibrary("out/one.so", "out/one", overrides={"max_batch_size": 4.0})\n'
        'env.Depends("out/one.so", "notes.txt")\n',
    )
    (project.root / "notes.txt").write_text("why there is a library")
    script.write_text(text)
    calls = project.build()
    assert calls[0] == "compile out/one.so"
    assert (project.root / "out/one/tensor-cache.json").exists()
    os.utime(project.root / "notes.txt", (1, 1))
    assert project.build() == []


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("kind='checkpont'", "kind: expected one of checkpoint, mlc, found"),
        ("device='toaster'", "device: expected one of cpu, cuda, rocm, "),
        ("device='iphone'", "library: expected one of .tar, .a, found '.so'"),
        ("quantization='q4f16-1'", "quantization: expected one of q0f16, "),
        ("kind='checkpoint'", "quantization: a checkpoint needs one, such as"),
        ("overrides={'max_batchsize': 1}", "overrides: expected one of context_"),
        ("overrides={'max_batch_size': 1.5}", "overrides: max_batch_size: expected a "),
        ("quantisation='q0f16'", "got an unexpected keyword argument 'quantisation': "),
    ],
)
def test_a_wrong_argument_of_a_method_is_refused(
    project: Project, argument: str, message: str
) -> None:
    with (project.root / "SConstruct").open("a") as script:
        script.write(f"env.MLCLibrary('a.so', 'models/one', {argument})\n")
    done = project.scons()
    assert done.returncode == 2
    assert f"mlcx: MLCLibrary: {message}" in done.stderr


def test_weights_are_refused_in_what_is_no_scheme(project: Project) -> None:
    with (project.root / "SConstruct").open("a") as script:
        given = "quantization='q4', conv_template='LM'"
        script.write(f"env.MLCWeights('out', 'models/one', {given})\n")
    done = project.scons()
    assert done.returncode == 2
    assert "mlcx: MLCWeights: quantization: expected one of q0f16, " in done.stderr


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("text='empty.txt'", "text: {root}/empty.txt is empty"),
        ("tokens=0", "tokens: expected a whole number from 2 on, found 0"),
        ("quantization='q4f16_1'", "quantization: expected one of q0f32, q0f16, "),
    ],
)
def test_a_reference_that_cannot_be_is_refused(
    project: Project, argument: str, message: str
) -> None:
    with (project.root / "SConstruct").open("a") as script:
        script.write(f"env.MLCReference('models/one', {argument})\n")
    (project.root / "empty.txt").touch()
    done = project.scons()
    assert done.returncode == 2
    text = message.format(root=project.root)
    assert f"mlcx: MLCReference: {text}" in done.stderr
    assert project.calls() == []


def test_a_later_line_of_a_script_may_make_the_text_of_a_reference(
    project: Project,
) -> None:
    with (project.root / "SConstruct").open("a") as script:
        script.write("env.MLCReference('models/one', text='corpus.txt')\n")
        script.write("env.Command('corpus.txt', 'notes', Copy('$TARGET', '$SOURCE'))\n")
    (project.root / "notes").write_text("A text.")
    assert project.scons("corpus.txt").returncode == 0
    assert project.scons("-Qn", "build/reference").returncode == 0


def test_a_checkpoint_is_not_cleaned_away(project: Project) -> None:
    checkpoint = project.root / "models/one"
    before = {path: path.read_bytes() for path in checkpoint.iterdir()}
    given = 'quantization="q4f16_1", conv_template="chatml"'
    with (project.root / "SConstruct").open("a") as script:
        script.write(f'env.MLCWeights("models/one", "models/one", {given})\n')
    done = project.scons("-c")
    assert done.returncode == 2
    refusal = "models/one is the folder of config.json, which gen_config reads"
    assert f"{refusal}: it would be overwritten: name another" in done.stderr
    assert {path: path.read_bytes() for path in checkpoint.iterdir()} == before


def test_a_specs_of_the_wrong_kind_is_refused(project: Project) -> None:
    script = project.root / "SConstruct"
    script.write_text(script.read_text().replace("MLCCommandLine", "MLCDelivery"))
    done = project.scons()
    assert done.returncode == 2
    assert "expected a delivery spec, found a package config" in done.stderr


def test_a_script_without_defaults_is_asked_for_everything(project: Project) -> None:
    script = project.root / "SConstruct"
    script.write_text(script.read_text().replace("MLCCommandLine", "MLCPackage"))
    assert project.scons("-Qn").stdout.splitlines()[-1] == "mlcx: 11 to build"
    said = project.scons("-Q").stdout.splitlines()[-1]
    assert said == "mlcx: 11 built, see dist/report.json"


WEIGHTLESS = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
folder.mkdir(parents=True, exist_ok=True)
chat = sys.argv[1] == "gen_config"
(folder / "tokenizer.json").touch()
name, held = ("mlc-chat-config", {}) if chat else ("tensor-cache", {"records": []})
(folder / f"{name}.json").write_text(json.dumps(held))
"""
"""Makes a model directory without a look at the checkpoint."""


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel what was read")
def test_a_checkpoint_is_hashed_once(project: Project) -> None:
    weights, size = project.root / "models/one/model.safetensors", 1 << 26
    os.truncate(weights, size)
    (project.control / "step.py").write_text(WEIGHTLESS)
    project.use_command(sys.executable, str(project.control / "step.py"))
    script = project.root / "SConstruct"
    text = script.read_text().replace(
        'env.MLCCommandLine("mlc-package-config.json")',
        'env.MLCWeights("out/one", "models/one", quantization="q4f16_1",'
        ' conv_template="chatml")\n'
        "import atexit\n"
        "read = lambda: open('read', 'w').write(open('/proc/self/io').read())\n"
        "atexit.register(read)\n",
    )
    script.write_text(text)
    # New, as it was, and with another time stamp.
    for times, least, most in ((None, 1.0, 1.7), (None, 0, 0.7), ((1, 1), 1.0, 1.7)):
        if times is not None:
            os.utime(weights, times)
        project.build()
        told = (project.root / "read").read_text()
        read = int(told.partition("rchar: ")[2].partition("\n")[0])
        assert least * size <= read <= most * size
