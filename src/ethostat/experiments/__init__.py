"""The paper on trial: its experiments and open questions rerun, each with one command and one page.

    claims      a Claim of the paper, what was measured, the verdict; the table over all of them
    frame       Experiment, Settings, and what one run leaves behind
    markdown    numbers and tables of pages
    registry    the experiments in order, `reproduce`
    language, vocabulary, small     language models in torch: packaged ones, cut to English, made in seconds
    exchanges, adapting, courses    what they are tuned on, how, and their looks on the way
    conversing, curvature           turn after turn under stress; the Fisher matrix
    companion                       the simulation of arXiv 2511.10704
    the others  one experiment each, under its own name

torch, transformers and peft are imported only inside functions of the experiments that need them (extra
`experiments`). A page is made of the figures that its run left, and of nothing else.
"""

from ethostat.experiments.registry import EXPERIMENTS, find_experiment, reproduce

__all__ = ["EXPERIMENTS", "find_experiment", "reproduce"]
