"""Identity: who asks, for which tenant, and what they may. Values only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ethostat.errors import InvalidInput

INGEST, READ, LABEL, ADMIN = "ingest", "read", "label", "admin"
SCOPES = (INGEST, READ, LABEL, ADMIN)
KEY, USER, LOCAL = "key", "user", "local"
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Identity:
    """A key, a user, or whoever is on this machine.

    Everybody belongs to one tenant and sees that one alone; the tenant of those who named none is the empty text.
    Scopes: `ingest` tells events, `read` looks, `label` judges responses and alerts, `admin` changes what is kept and
    how; `admin` includes the others.
    """

    kind: str
    name: str
    tenant: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Whether this scope is among theirs."""
        return scope in self.scopes or ADMIN in self.scopes

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


ANYBODY = Identity(LOCAL, "anybody on this machine", "", frozenset(SCOPES))
"""Who asks where nobody has to say who they are."""


def checked_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """The scopes; raises InvalidInput where there are none or one is unknown."""
    found = frozenset(scopes)
    if not found or not found <= set(SCOPES):
        wrong = next(iter(found - set(SCOPES)), None)
        raise InvalidInput(f"scopes must be at least one of {', '.join(SCOPES)}, got {wrong!r:.40}")
    return found


def checked_name(name: str, *, what: str) -> str:
    """The name; raises InvalidInput unless it is one line of printable text."""
    if 0 < len(name) <= _LONGEST_NAME and name.isprintable() and name == name.strip():
        return name
    raise InvalidInput(f"{what} must be 1 to {_LONGEST_NAME} printable characters, got {name!r:.80}")
