"""Signatures of webhooks: HMAC-SHA256 over id, time and body.

Source: the Standard Webhooks specification 1.0, https://www.standardwebhooks.com.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from ethostat.errors import InvalidInput

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64


class Secret:
    """A key that two sides share; it does not show itself when printed by accident.

    Written as `whsec_` and base64 of 24 to 64 random bytes, as the specification has it.
    """

    __slots__ = ("_key",)

    def __init__(self, text: str, *, source: str = "the secret") -> None:
        try:
            key = base64.b64decode(text.strip().removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not _SHORTEST <= len(key) <= _LONGEST:
            raise InvalidInput(
                f"{source} must be whsec_ and base64 of {_SHORTEST} to {_LONGEST} random bytes; make one with: "
                "echo whsec_$(openssl rand -base64 32)"
            )
        self._key = key

    def __repr__(self) -> str:
        return "Secret(***)"

    def signature(self, message_id: str, timestamp: int, body: bytes) -> str:
        """`v1,` and the base64 of the HMAC-SHA256 of id.timestamp.body."""
        signed = f"{message_id}.{timestamp}.".encode() + body
        return "v1," + base64.b64encode(hmac.new(self._key, signed, hashlib.sha256).digest()).decode()


def read_secrets(text: str, *, source: str) -> tuple[Secret, ...]:
    """One secret, or several with spaces between, while one takes over from another: each signs."""
    return tuple(Secret(one, source=source) for one in text.split())


def signed_headers(secrets: Sequence[Secret], *, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a message; without a secret there is no signature."""
    headers = {ID: message_id, TIMESTAMP: str(timestamp)}
    if secrets:
        headers[SIGNATURE] = " ".join(one.signature(message_id, timestamp, body) for one in secrets)
    return headers
