"""Which process advances which stream: leases, by the database's clock, shared evenly among the living.

A lease only says who should work; that nothing is counted twice rests on the version of a stream's position, which
every write checks. A lease that ends later than any could is one of before the clock was set back, and holds nobody up.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, func, select, text, true, update

from ethostat.ledger import tables as t
from ethostat.store.dialects import insert_or_replace

_AT_ONCE = 500


def claim(connection: Connection, owner: str, seconds: float, *, alone: bool) -> frozenset[int]:
    """The streams of `owner` for the next seconds: those it has, and its share of those that nobody has.

    With `alone` no other process can be alive, whatever the leases say: a lock on the file proved it.
    """
    now = clock(connection)
    connection.execute(
        insert_or_replace(connection, t.processes, ["id"], ["until"]), {"id": owner, "until": now + seconds}
    )
    others = t.processes.c.id != owner
    until = t.processes.c.until
    connection.execute(delete(t.processes).where(others, true() if alone else _is_over(until, now, seconds)))
    living = connection.scalar(select(func.count()).select_from(t.processes)) or 1
    columns = (t.positions.c.stream_key, t.positions.c.owner, t.positions.c.lease_until)
    held = connection.execute(select(*columns).order_by(t.positions.c.stream_key)).all()
    mine = [row.stream_key for row in held if row.owner == owner]
    free = [row.stream_key for row in held if row.owner != owner and (alone or _over(row.lease_until, now, seconds))]
    share = -(-len(held) // living)
    _set(connection, mine[share:], owner, None, 0.0)
    mine = mine[:share]
    _set(connection, mine, owner, owner, now + seconds)
    taken = [key for key in free[: share - len(mine)] if _take(connection, key, owner, now, seconds, alone=alone)]
    return frozenset(mine + taken)


def release(connection: Connection, owner: str) -> None:
    """Let others have all that this process has, now."""
    leave = update(t.positions).where(t.positions.c.owner == owner)
    connection.execute(leave.values(owner=None, lease_until=None))
    connection.execute(delete(t.processes).where(t.processes.c.id == owner))


def clock(connection: Connection) -> float:
    """Seconds since 1970, as the database counts them: processes on several machines agree on it."""
    if connection.dialect.name == "postgresql":
        return float(connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())")))
    return time.time()


def _set(connection: Connection, keys: Sequence[int], owner: str, new: str | None, until: float) -> None:
    for start in range(0, len(keys), _AT_ONCE):
        these = t.positions.c.stream_key.in_(keys[start : start + _AT_ONCE])
        changed = update(t.positions).where(these, t.positions.c.owner == owner)
        connection.execute(changed.values(owner=new, lease_until=until))


def _take(connection: Connection, key: int, owner: str, now: float, seconds: float, *, alone: bool) -> bool:
    """Take a stream that was free when it was looked at; False where another process was faster."""
    free = (t.positions.c.owner.is_(None)) | _is_over(t.positions.c.lease_until, now, seconds)
    this = update(t.positions).where(t.positions.c.stream_key == key)
    if not alone:
        this = this.where(free)
    return connection.execute(this.values(owner=owner, lease_until=now + seconds)).rowcount == 1


def _over(until: float | None, now: float, seconds: float) -> bool:
    return until is None or until < now or until > now + 2 * seconds


def _is_over(until: ColumnElement[float], now: float, seconds: float) -> ColumnElement[bool]:
    return (until < now) | (until > now + 2 * seconds)
