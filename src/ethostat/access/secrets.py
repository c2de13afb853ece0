"""Secrets: how keys, passwords and session tokens are made, kept and compared. No clock, no database.

Keys and tokens hold 256 random bits, so that one round of SHA-256 keeps them; a password is chosen by a person and
takes scrypt. Nothing here can be turned back into what it was made from.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import unicodedata
from dataclasses import dataclass

from ethostat.errors import InvalidInput

SHORTEST_PASSWORD, _LONGEST_PASSWORD = 12, 256
_BRAND = "ethostat"
_KEY = re.compile(rf"{_BRAND}_([0-9a-f]{{12}})_([A-Za-z0-9_-]{{43}})")
# About 32 MB and some tenths of a second. Source: OWASP Password Storage Cheat Sheet, scrypt, N = 2^15, r = 8, p = 3.
_COST = (2**15, 8, 3)


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A new API key: `text` is shown once, `prefix` finds it again, `hash` is what is kept."""

    text: str
    prefix: str
    hash: str

    def __repr__(self) -> str:
        return f"MintedKey({self.prefix})"


def mint_key() -> MintedKey:
    """A key of 256 random bits."""
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    text = f"{_BRAND}_{prefix}_{secret}"
    return MintedKey(text, prefix, hashed(text))


def prefix_of(key: str) -> str | None:
    """The prefix of a key; None for what cannot be one."""
    found = _KEY.fullmatch(key)
    return None if found is None else found[1]


def mint_token() -> str:
    """A session's token: 256 random bits."""
    return secrets.token_urlsafe(32)


def hashed(token: str) -> str:
    """What is kept of a key or a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def same(first: str, second: str) -> bool:
    """Equality that takes the same time wherever they differ."""
    return hmac.compare_digest(first.encode("utf-8", "replace"), second.encode("utf-8", "replace"))


def csrf_token(session: str) -> str:
    """What a page of this session sends with every change; another site cannot know it. Not kept anywhere."""
    digest = hmac.digest(session.encode("utf-8", "replace"), b"ethostat csrf", hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def check_password(password: str, *, name: str) -> None:
    """Raises InvalidInput where it is too short, too long or the user's own name."""
    if not SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
        raise InvalidInput(
            f"a password must have {SHORTEST_PASSWORD} to {_LONGEST_PASSWORD} characters, got {len(password)}; "
            "four or five random words are good"
        )
    if name.lower() in password.lower() or len(set(password)) < 5:
        raise InvalidInput("a password must not hold the user's name, nor the same few characters; choose another")


def hash_password(password: str) -> str:
    """scrypt with a salt of its own and its costs written beside it."""
    salt = secrets.token_bytes(16)
    n, r, p = _COST
    return f"scrypt${n}${r}${p}${salt.hex()}${_scrypt(password, salt, n, r, p).hex()}"


def is_password(password: str, kept: str | None) -> bool:
    """Whether this is the password that was kept; None, nobody's password, takes as long to deny."""
    _, n, r, p, salt, digest = (kept or _nobodys()).split("$")
    if len(password) > _LONGEST_PASSWORD:
        return False
    found = _scrypt(password, bytes.fromhex(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, bytes.fromhex(digest)) and kept is not None


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    # One password may be typed as several sequences of code points, depending on the keyboard.
    plain = unicodedata.normalize("NFKC", password).encode("utf-8", "replace")
    return hashlib.scrypt(plain, salt=salt, n=n, r=r, p=p, maxmem=160 * n * r)


def _nobodys() -> str:
    """What no password hashes to, at the cost of one."""
    n, r, p = _COST
    return f"scrypt${n}${r}${p}${'00' * 16}${'00' * 64}"
