"""What a service is started with."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from ethostat.errors import InvalidInput
from ethostat.monitor import Monitor
from ethostat.notifying import Routing
from ethostat.server.evaluations import Endpoint
from ethostat.server.grouping import Grouping
from ethostat.server.intake import Bounds
from ethostat.server.proxy import ProxySettings
from ethostat.server.redaction import Redact

NEVER, SAMPLED, ALL = "never", "sampled", "all"
DEFAULT_PORT = 8750


@dataclass(frozen=True, slots=True)
class Texts:
    """Which texts stay once they are classified: `never`, `sampled` (a share of them) or `all`.

    The same event is always decided alike, by a hash of its id. Until it is classified every text is kept.
    """

    rule: str = SAMPLED
    share: float = 0.05

    def __post_init__(self) -> None:
        if self.rule not in (NEVER, SAMPLED, ALL):
            raise InvalidInput(f"which texts are stored must be never, sampled or all, got {self.rule!r}")
        if not 0 <= self.share <= 1:
            raise InvalidInput(f"the share of texts that are stored must lie in [0, 1], got {self.share}")

    def keep(self, event_id: str) -> bool:
        """Whether the text of this event stays."""
        if self.rule != SAMPLED:
            return self.rule == ALL
        return zlib.crc32(event_id.encode("utf-8", "surrogatepass")) < self.share * 2**32


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Where a service listens, what it keeps in, and what its streams begin with.

    `template` is the monitor of a new stream, whose taxonomy is that of all; `workers` processes run `classifier`.
    Bodies have at most `most_body` bytes as they come, and `most_unpacked` without their compression. Events that were
    followed are deleted after `retention` days, None for never. `grouping` says what tells strata and sessions, and
    `redact` comes before anything keeps an event, whichever way it came. Verdicts made here are exported to
    `evaluations`. With `proxy` traffic to a model server is forwarded and observed. `stream_attribute` is the
    OpenTelemetry attribute that names a span's stream, where it is there. `names` are what it is called by beside its
    address, `address` is the URL by which people reach it, and `notify` says where alerts go.
    """

    template: Monitor
    database: str
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    classifier: str = "builtin"
    workers: int = 1
    texts: Texts = field(default_factory=Texts)
    bounds: Bounds = field(default_factory=Bounds)
    most_body: int = 16 * 2**20
    most_unpacked: int = 64 * 2**20
    retention: float | None = None
    grouping: Grouping = field(default_factory=Grouping)
    redact: Redact | None = None
    evaluations: Endpoint | None = None
    proxy: ProxySettings | None = None
    stream_attribute: str | None = None
    names: tuple[str, ...] = ()
    notify: Routing | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise InvalidInput(f"workers must be at least 1, got {self.workers}")
        if not 0 <= self.port < 2**16:
            raise InvalidInput(f"a port is a number from 0 to 65535, got {self.port}")
        if self.retention is not None and not self.retention > 0:
            raise InvalidInput(f"retention must be above 0 days, got {self.retention}; leave it out to keep all")
