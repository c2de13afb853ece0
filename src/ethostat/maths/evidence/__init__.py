"""Sequential evidence that a profile has changed, with a promise about false alarms.

promise      what is promised: a run length, or a probability over a lifetime
portfolio    which changes are looked out for
baseline     known shares, or counts that the stream adds to
edetector    evidence from bets, and how it adds up
profiles     the default: any change of the profile
directed     one share rises above a bound, whatever the rest does
stratified   one stream whose traffic comes from several strata
panels       a fixed panel of prompts, asked again and again
streams      many streams at once
evalues      which of many streams changed
changepoint  since when
"""

from ethostat.maths.evidence.baseline import Baseline, Known, Learned, same_profile_p_value
from ethostat.maths.evidence.changepoint import change_point, change_point_of_sessions
from ethostat.maths.evidence.directed import DirectedDetector, session_bound, upper_bound
from ethostat.maths.evidence.edetector import EDetector
from ethostat.maths.evidence.evalues import e_benjamini_hochberg, merge_any, merge_independent
from ethostat.maths.evidence.portfolio import Portfolio, portfolio_for
from ethostat.maths.evidence.profiles import ProfileDetector, soft_at
from ethostat.maths.evidence.promise import Lifetime, Promise, RunLength
from ethostat.maths.evidence.stratified import StratifiedDetector
from ethostat.maths.evidence.streams import Readings, Streams, first_alarms

__all__ = [
    "Baseline",
    "DirectedDetector",
    "EDetector",
    "Known",
    "Learned",
    "Lifetime",
    "Portfolio",
    "ProfileDetector",
    "Promise",
    "Readings",
    "RunLength",
    "StratifiedDetector",
    "Streams",
    "change_point",
    "change_point_of_sessions",
    "e_benjamini_hochberg",
    "first_alarms",
    "merge_any",
    "merge_independent",
    "portfolio_for",
    "same_profile_p_value",
    "session_bound",
    "soft_at",
    "upper_bound",
]
