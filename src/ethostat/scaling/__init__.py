"""Scaling: the same work over many files, by processes of this machine or a Ray cluster, stopped and gone on with.

sources.py    files by path, folder, pattern, URL    crews.py      who works: this process, several
fragments.py  pieces of files with stable ids        cluster.py    actors of a Ray cluster
folder.py     plan and parts, whole or not there     judging.py    a fragment's rows get verdicts
jobs.py       classify, measure by group             grouping.py   parts become measurements
replaying.py  stored traffic through monitors        verdicts.py   what monitors need of a fragment
logged.py     a service's log through monitors        deployment.py a classifier behind Ray Serve
"""

from ethostat.scaling.cluster import RayCrew
from ethostat.scaling.crews import Alone, Crew, Processes, WorkLost
from ethostat.scaling.jobs import Spread, Stand, classify_files, measure_groups, read_grouped
from ethostat.scaling.judging import Opener
from ethostat.scaling.logged import backfill_ledger
from ethostat.scaling.replaying import Replayed, backfill

__all__ = [
    "Alone",
    "Crew",
    "Opener",
    "Processes",
    "RayCrew",
    "Replayed",
    "Spread",
    "Stand",
    "WorkLost",
    "backfill",
    "backfill_ledger",
    "classify_files",
    "measure_groups",
    "read_grouped",
]
