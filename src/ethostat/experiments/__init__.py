"""The paper on trial: its experiments and open questions rerun, each with one command and one page.

    claims      a Claim of the paper, what was measured, the verdict; the table over all of them
    frame       Experiment, Settings, and what one run leaves behind
    markdown    numbers and tables of pages
    registry    the experiments in order, `reproduce`
    the others  one experiment each, under its own name

torch, transformers and peft are imported only inside functions of the experiments that need them (extra
`experiments`). A page is made of the figures that its run left, and of nothing else.
"""

from ethostat.experiments.registry import EXPERIMENTS, find_experiment, reproduce

__all__ = ["EXPERIMENTS", "find_experiment", "reproduce"]
