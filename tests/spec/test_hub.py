"""How models of the hub are named, and what the environment says of them."""

import os
import runpy
from pathlib import Path

import pytest

from mlcx.errors import UsageError
from mlcx.spec.hub import DownloadPolicy, HubSettings, Repository

MIRROR = "http://mirror:8080"


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("HF://user/repo", "user/repo"),
        ("HF://user/repo@main", "user/repo"),
        ("HF://user/repo.v1@refs/pr/1", "user/repo.v1@refs/pr/1"),
        ("https://huggingface.co/user/repo", "user/repo"),
        ("https://huggingface.co/user/repo/", "user/repo"),
        ("https://huggingface.co/user/repo/tree/v1.0", "user/repo@v1.0"),
        ("http://mirror:8080/user/repo/tree/main", "user/repo"),
    ],
)
def test_a_model_is_named_in_several_ways(model: str, key: str) -> None:
    repository = Repository.parse(model, MIRROR)
    assert repository.key == key
    assert Repository.of_key(key) == repository


@pytest.mark.parametrize(
    "model",
    [
        "HF://user",
        "HF://user/repo/more",
        "HF://user/..",
        "HF://../repo",
        "HF://user/repo@",
        "HF://user/repo@../../x",
        "HF://user/repo\n",
        "HF://us er/repo",
        "https://huggingface.co/user/repo?x=1",
        "https://huggingface.co/user/repo#x",
        "https://huggingface.co/user/repo/blob/main/config.json",
        "https://huggingface.co/../x",
        "https://example.com/user/repo",
        "https://huggingface.co.example.com/user/repo",
        "https://huggingface.co@example.com/user/repo",
        "http://mirror/user/repo",
        "https://[x/user/repo",
        "https://huggingface.co:port/user/repo",
    ],
)
def test_another_name_is_refused(model: str) -> None:
    with pytest.raises(UsageError, match="HF://user/repository"):
        Repository.parse(model, MIRROR)


def test_the_environment_is_read_as_mlc_reads_it() -> None:
    found = HubSettings.of(
        {
            "MLC_LLM_HOME": "/home/me",
            "HF_ENDPOINT": "http://mirror:8080/",
            "HF_HUB_OFFLINE": "true",
            "MLC_DOWNLOAD_CACHE_POLICY": "READONLY",
            "MLC_LLM_READONLY_WEIGHT_CACHE": "/a:/b",
            "HF_HOME": "/hf",
        }
    )
    assert found == HubSettings(
        Path("/home/me"),
        "http://mirror:8080",
        DownloadPolicy.READONLY,
        True,
        (Path("/a"), Path("/b")),
        Path("/hf/hub"),
    )
    model = Repository("user", "repo")
    assert found.published(model) == Path("/home/me/model_weights/hf/user/repo")
    first, *_, last = found.elsewhere(model, "c0ffee")
    assert first == Path("/a/hf/user/repo")
    assert last == Path("/hf/hub/models--user--repo/snapshots/c0ffee")


@pytest.mark.parametrize("separator", [":", ";"])  # of all systems but one, of Windows
def test_folders_are_separated_as_the_system_does_it(
    monkeypatch: pytest.MonkeyPatch, separator: str
) -> None:
    monkeypatch.setattr("os.pathsep", separator)
    folders = separator.join(["/a", "", "/b"])
    environ = {"MLC_LLM_HOME": "/h", "MLC_LLM_READONLY_WEIGHT_CACHE": folders}
    first, second, *_ = HubSettings.of(environ).elsewhere(Repository("u", "r"), "c")
    assert (first, second) == (Path("/a/hf/u/r"), Path("/b/hf/u/r"))


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"XDG_CACHE_HOME": "/caches"},
        {"HF_HOME": "~/hf"},
        {"HF_HOME": "/hf", "HUGGINGFACE_HUB_CACHE": "/old"},
        {"HUGGINGFACE_HUB_CACHE": "/old", "HF_HUB_CACHE": "$HOME/new"},
    ],
)
def test_the_folder_of_the_hubs_own_library_is_where_that_says(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    names = ("XDG_CACHE_HOME", "HF_HOME", "HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE")
    with monkeypatch.context() as patched:
        for name in names:
            patched.delenv(name, raising=False)
        for name, value in environ.items():
            patched.setenv(name, value)
        found = HubSettings.of(dict(os.environ)).cache
        theirs = runpy.run_path(str(constants.__file__))["HF_HUB_CACHE"]
    assert str(found) == theirs


def test_nothing_said_is_the_hub_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    found = HubSettings.of({"HOME": "/home/me"})
    assert found.endpoint == "https://huggingface.co"
    assert found.policy is DownloadPolicy.ON
    assert not found.offline


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MLC_DOWNLOAD_CACHE_POLICY", "on"),
        ("HF_ENDPOINT", "huggingface.co"),
        ("HF_ENDPOINT", "https://[x"),
        ("HF_ENDPOINT", "http://mirror:port"),
        ("HF_ENDPOINT", "http://mirror:99999"),
        ("HF_ENDPOINT", "https:///x"),
    ],
)
def test_a_value_that_means_nothing_is_refused(variable: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"{variable}: expected ") as raised:
        HubSettings.of({variable: value, "HOME": "/"})
    assert f", found {value!r}" in str(raised.value)
