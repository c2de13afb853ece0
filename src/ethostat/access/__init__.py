"""access: who may do what with a service.

identity  Identity: who asks, for which tenant, with which scopes
secrets   how keys, passwords and tokens are made, kept and compared
limits    how often somebody may fail
tables    how it lies on disk
register  Register: keys, users, sessions and the audit log, in the service's database

It knows no HTTP; `server/access.py` asks it.
"""

from __future__ import annotations

from ethostat.access.identity import ADMIN, ANYBODY, INGEST, LABEL, READ, SCOPES, Identity
from ethostat.access.limits import Limit, LoginLimits
from ethostat.access.register import SESSION_SECONDS, Act, ApiKey, Register, User
from ethostat.access.secrets import MintedKey, csrf_token

__all__ = [
    "ADMIN",
    "ANYBODY",
    "INGEST",
    "LABEL",
    "READ",
    "SCOPES",
    "SESSION_SECONDS",
    "Act",
    "ApiKey",
    "Identity",
    "Limit",
    "LoginLimits",
    "MintedKey",
    "Register",
    "User",
    "csrf_token",
]
