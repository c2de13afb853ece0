"""Which key goes where, and which URLs are taken."""

from __future__ import annotations

import pytest

from asking import ask
from ethostat.errors import InvalidInput
from ethostat.models.http import HTTPModel
from servers import FaultyServer, well_behaved


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without any key."""
    for variable in ("ETHOSTAT_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize(
    ("variables", "sent"),
    [
        ({}, None),
        ({"OPENAI_API_KEY": "o"}, "Bearer o"),
        ({"ETHOSTAT_API_KEY": "e", "OPENAI_API_KEY": "o"}, "Bearer e"),
        ({"ETHOSTAT_API_KEY": "", "OPENAI_API_KEY": "o"}, None),
    ],
)
def test_the_first_variable_wins(variables: dict[str, str], sent: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """ETHOSTAT_API_KEY comes before OPENAI_API_KEY; set to nothing it means: send no key."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with FaultyServer(well_behaved) as server:
        ask(HTTPModel(server.url, "m"))

    assert server.asked[0].headers.get("Authorization") == sent


def test_a_named_variable_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """With api_key_env no other variable is read."""
    monkeypatch.setenv("OPENAI_API_KEY", "o")
    monkeypatch.setenv("MINE", "mine")

    with FaultyServer(well_behaved) as server:
        ask(HTTPModel(server.url, "m", api_key_env="MINE"))

    assert server.asked[0].headers["Authorization"] == "Bearer mine"


def test_a_key_does_not_travel_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain http to another machine is refused with a key, and taken without one, or where the caller allows it."""
    HTTPModel("http://far.example/v1", "m")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")

    HTTPModel("https://far.example/v1", "m")
    HTTPModel("http://[::1]:80/v1", "m")
    HTTPModel("http://far.example/v1", "m", allow_key_in_clear=True)
    with pytest.raises(InvalidInput, match=r"OPENAI_API_KEY would be sent unencrypted to far\.example") as refusal:
        HTTPModel("http://far.example/v1", "m")
    assert "sk-secret" not in str(refusal.value)


def test_a_key_of_two_lines_is_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that no header can carry is InvalidInput that names the variable only."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-one\nsk-two")

    with pytest.raises(InvalidInput, match="OPENAI_API_KEY") as refusal:
        HTTPModel("https://far.example", "m")
    assert "sk-" not in str(refusal.value)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://host", "https://host/v1"),
        ("https://host/", "https://host/v1"),
        ("https://host/v1/", "https://host/v1"),
        ("http://localhost:8000/api/v1", "http://localhost:8000/api/v1"),
    ],
)
def test_urls_are_kept_in_one_form(given: str, kept: str) -> None:
    """No trailing slash; /v1 where there is no path: equal servers have equal identities."""
    assert HTTPModel(given, "m").identity["url"] == kept


@pytest.mark.parametrize(
    "url", ["", "host/v1", "ftp://host", "https://", "https://user:secret@host/v1", "https://h/?key=secret"]
)
def test_other_urls_are_refused(url: str) -> None:
    """A URL of another scheme, without a host or with secrets in it is InvalidInput that does not repeat the secret."""
    with pytest.raises(InvalidInput, match="URL") as refusal:
        HTTPModel(url, "m")
    assert "secret" not in str(refusal.value)
