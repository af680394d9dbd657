"""What is said of an object store and its errors: short, and without secrets.

The errors are those of ``obstore``, whose texts hold the request, what was tried, the
answer's body and the errors beneath, for programmers.
"""

from __future__ import annotations

import re

__all__ = ["public", "reason"]

_LOGIN = re.compile(r"(?<=//)[^/\s]*@")
"""Who asks and the password, in an address."""
_QUERY = re.compile(r"(?<=\?)[^#\s]+")
_VALUE = re.compile(r"=.*|^[^=]*$", re.DOTALL)
"""Of a parameter in a query; one without a name is all value."""

_REQUEST = re.compile(
    r"Error performing (?P<method>[A-Z]+) (?P<url>\S+) in .*? - (?P<answer>.*)",
    re.DOTALL,
)
_ANSWERED = re.compile(r"Server returned non-2xx status code: (?P<status>\d+[\w -]*)")
_BENEATH = re.compile(r'\b(?:message|error): "([^"\n]+)"')
"""The text of an error that another one comes from; the last is the first cause."""
_KIND = re.compile(r"^(?:HTTP error|Generic [\w ]+ error): ")
_MESSAGE = re.compile(r"<Message>([^<\n]+)</Message>", re.IGNORECASE)
"""What clouds answer in XML."""
_LISTS = "PROPFIND"
"""The method by which web servers list, of those that can."""


def public(url: str) -> str:
    """Return ``url``, or a text that holds some, without what may be secret."""
    return _QUERY.sub(_without_values, _LOGIN.sub("", url))


def _without_values(query: re.Match[str]) -> str:
    parameters = query[0].split("&")
    return "&".join(_VALUE.sub(_hidden, each, count=1) for each in parameters)


def _hidden(value: re.Match[str]) -> str:
    return "=…" if value[0].startswith("=") else "…"


def reason(error: Exception, url: str) -> str:
    """Return in one line why a request to the store at ``url``, as it is, failed."""
    text = str(error).strip()
    first = text.partition("\n")[0]
    request = _REQUEST.search(text)
    if request is None:
        return public(_KIND.sub("", first))
    method, asked = request["method"], request["url"]
    answered = _ANSWERED.match(request["answer"])
    if answered is None:
        failed = _KIND.sub("", request["answer"].partition("\n")[0])
        said = (_BENEATH.findall(text) or [failed])[-1]
    elif method == _LISTS:
        status = answered["status"].strip()
        return f"{status}: this web server cannot list what it holds"
    else:
        messages = _MESSAGE.findall(request["answer"])[:1]
        said = ": ".join([answered["status"].strip(), *messages])
    # Who hands out credentials is another server.
    elsewhere = "" if asked.startswith(_place(url)) else f" {public(asked)}"
    return f"{method}{elsewhere}: {said}"


def _place(url: str) -> str:
    return url.partition("?")[0]
