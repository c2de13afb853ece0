"""Watching: a model that is asked the same prompts again and again, held against what it did before.

pace      how many responses a look takes, and when it takes more
setting   what an answer depends on that the user decides; what of it is another now
look      Look: what one look found: yes, no, or not known
moved     what moved, when it did: goals, categories, prompts, responses to read
words     what is promised, since when, who changed it
kept      what is remembered between looks; when it begins anew
normal    where the baseline comes from
looking   one look under way
watch     Watch: one look after the other
"""

from ethostat.watching.kept import FIRST
from ethostat.watching.look import Look, PromptMoved
from ethostat.watching.pace import Pace
from ethostat.watching.watch import Watch, default_state

__all__ = ["FIRST", "Look", "Pace", "PromptMoved", "Watch", "default_state"]
