"""Monitor: decides with a false-alarm promise. Alert: says what changed, with evidence. Values: no files, no clock.

baseline    what a stream is held against: profiles by stratum, or the first responses of the stream
kinds       detectors by name, made for a baseline and a promise
watch       a detector over a stream, stratified or not, and what it knows about a change
alert       Alert, and the words for it
finding     what moved, before and after, what to do about it
policy      when to speak besides the first alarm; epochs
sessions    responses that count as one, and when they are over
memory      what is looked back on for the time of change
terms       the promise in words
voice       makes alerts, and keeps them until they are given
drift       whether a learned baseline is still the one it began as
said        what it is told of one response
standing    an alert that stands, and the evidence that it is over
monitor     Monitor: one stream, from OK to alert and back
monitors    Monitors: one Monitor a key
replay      many responses at once, with the same result
audit       whether a classifier still says what it said
screening   which of many streams changed, with few false ones among them
"""

from ethostat.monitor.alert import Alert, Moved
from ethostat.monitor.audit import Audit, AuditPlan
from ethostat.monitor.baseline import Baseline
from ethostat.monitor.kinds import KINDS, PROFILE, Kind
from ethostat.monitor.monitor import Monitor
from ethostat.monitor.monitors import Monitors
from ethostat.monitor.policy import Epoch, Policy
from ethostat.monitor.screening import Flagged, Screened, Screening
from ethostat.monitor.sessions import SessionEnd

__all__ = [
    "KINDS",
    "PROFILE",
    "Alert",
    "Audit",
    "AuditPlan",
    "Baseline",
    "Epoch",
    "Flagged",
    "Kind",
    "Monitor",
    "Monitors",
    "Moved",
    "Policy",
    "Screened",
    "Screening",
    "SessionEnd",
]
