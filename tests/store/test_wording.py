"""What is said of object stores: no secret, no more than one cause."""

from __future__ import annotations

import pytest

from mlcx.store.wording import public, reason


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket/path", "s3://bucket/path"),
        ("http://me:pass@host/x?sig=a/b=&se=2030", "http://host/x?sig=…&se=…"),
        ("https://host/?token", "https://host/?…"),
        ("https://host/x?a=1#top", "https://host/x?a=…#top"),
        (
            "at https://host/x?a=1 and http://b?c",
            "at https://host/x?a=… and http://b?…",
        ),
    ],
)
def test_values_and_logins_are_hidden(url: str, shown: str) -> None:
    assert public(url) == shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "Generic S3 error: Error performing GET https://b.s3.amazonaws.com/entries/a"
            " in 20ms - Server returned non-2xx status code: 404 Not Found: <?xml "
            'version="1.0"?>\n<Error><Code>NoSuchBucket</Code><Message>There is no '
            "such bucket</Message></Error>\n\nDebug source:\nGeneric {}",
            "GET https://b.s3.amazonaws.com/entries/a: 404 Not Found: There is no such "
            "bucket",
        ),
        (
            "Generic HTTP error: Error performing PUT http://host/x/a?sig=s in 1ms, "
            "after 2 retries, max_retries: 2  - HTTP error: request or response body "
            "error",
            "PUT: request or response body error",
        ),
        ("Generic MicrosoftAzure error: Account must be specified", "Account must be "),
        (
            "something else about http://host/?sig=s\nmore",
            "something else about http://",
        ),
    ],
)
def test_the_reason_is_one_line(text: str, said: str) -> None:
    found = reason(ValueError(text), "http://host/x?sig=s")
    assert found.startswith(said)
    assert "sig=s" not in found
    assert "\n" not in found
