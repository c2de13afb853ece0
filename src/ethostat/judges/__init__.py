"""Judges: language models that sort responses into goals. Here the doors to models and to classifiers meet.

asking       AskingClassifier: asks a model about responses, many at once, and makes verdicts of its answers
cut          what of a prompt and a response a judge gets to see
background   an event loop in a thread of its own
judge        JudgeClassifier: any model, prompted from the taxonomy
guards       GuardClassifier: WildGuard and Llama Guard in their own formats, mapped onto the five goals
catalog      open_classifier: what a user can type as --classifier
"""

from ethostat.judges.asking import AskingClassifier
from ethostat.judges.catalog import open_classifier
from ethostat.judges.guards import GuardClassifier
from ethostat.judges.judge import JudgeClassifier

__all__ = ["AskingClassifier", "GuardClassifier", "JudgeClassifier", "open_classifier"]
