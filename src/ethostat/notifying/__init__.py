"""notifying: an alert leaves the house, to people and machines.

outbox    which alert goes to which target, and how far that is; when it is tried again
rules     which alerts go to which targets
notice    an alert in the forms that targets take: JSON, a sentence, text that is inert in a chat
signing   signatures of webhooks
addresses which machines may be written to        posting   a POST to one of them
webhook   Webhook, Alertmanager    chat   Chat (apprise)    command   Command
targets   a target from its URL, targets and rules from a file
kept      LedgerOutbox: the outbox of a service
courier   delivers what is due    sending   notify, send_test
"""

from __future__ import annotations

from ethostat.notifying.addresses import Allowed
from ethostat.notifying.chat import Chat
from ethostat.notifying.command import Command
from ethostat.notifying.courier import Courier, Delivered
from ethostat.notifying.notice import Notice
from ethostat.notifying.outbox import DEAD, QUEUED, SENT, Claim, Delivery, MemoryOutbox, Outbox, Retries
from ethostat.notifying.rules import Rule, targets_of
from ethostat.notifying.sending import notify, send_test
from ethostat.notifying.targets import Routing, Target, open_target, read_routing
from ethostat.notifying.webhook import Alertmanager, Webhook

__all__ = [
    "DEAD",
    "QUEUED",
    "SENT",
    "Alertmanager",
    "Allowed",
    "Chat",
    "Claim",
    "Command",
    "Courier",
    "Delivered",
    "Delivery",
    "MemoryOutbox",
    "Notice",
    "Outbox",
    "Retries",
    "Routing",
    "Rule",
    "Target",
    "Webhook",
    "notify",
    "open_target",
    "read_routing",
    "send_test",
    "targets_of",
]
