"""What the documentation promises, as simulations that could find it broken.

check        a promise, what was measured, and the verdict
populations  profiles and panels of prompts whose truth is known
intervals    S: coverage, error, stopping at a precision
correction   a classifier's errors undone
comparison   sizes of tests, equivalence at the margin
rates        gamma, the relaxation, "no drift"
streams      labels whose law is known, evidence on them, the fastest detectors there are
alarms       false alarms, delay, many streams
suite        all of them: the selftest

Numpy and scipy only; an rng is passed in. The benchmarks run the same simulations with more of everything.
"""

from ethostat.guarantees.check import BROKEN, CANNOT_TELL, HOLDS, Check
from ethostat.guarantees.suite import PARTS, SEED, Selftest, selftest

__all__ = ["BROKEN", "CANNOT_TELL", "HOLDS", "PARTS", "SEED", "Check", "Selftest", "selftest"]
