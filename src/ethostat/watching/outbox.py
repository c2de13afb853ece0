"""The file of alerts: each is in it exactly once."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ethostat.errors import InvalidInput


def append_once(path: Path, fields: Mapping[str, Any]) -> None:
    """Add a line, unless the alert is there already; what a crash left half-written is taken off first."""
    try:
        whole = path.read_bytes() if path.exists() else b""
        done = whole[: whole.rfind(b"\n") + 1]
        ids = {json.loads(line)["alert"]["id"] for line in done.splitlines()}
        if fields["alert"]["id"] in ids:
            return
        with path.open("r+b" if path.exists() else "wb") as file:
            file.truncate(len(done))
            file.seek(len(done))
            file.write(json.dumps(fields, ensure_ascii=True, allow_nan=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path} holds what is no alert of a watch; choose another path") from error
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}; choose another path") from error
