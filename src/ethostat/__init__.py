"""ethostat: what a language model does with what it is asked, and whether that is changing.

The house, from the ground up; a module imports only from below its own line.

    errors, taxonomy, response      words: Goal, Taxonomy, Prompt, Response, Verdict, Label
    maths                           statistics: Estimate, Profile, entropy, panels, allocation
    guarantees                      what is promised, as simulations that could find it broken
    conversation                    what a model is shown of what was said so far
    correction, outside,            values: Measurement, how verdicts make one, what it becomes without
    measurement, summary,           the classifier's errors, and what fits no goal; a classifier
    evaluation, shift, grouped      against people; one measurement against another; many by group
    drift, trajectories, alignment  how S moved, measurements in time, base against tuned
    rows, documents                 rows of a file, each with its place; files that people write
    models, classifiers, store,     doors to what answers, what sorts, what remembers,
    prompts, transcripts,           what is asked, what was recorded,
    taxonomies, schedules, charts   which goals there are, what is said under stress, how it looks
    ledger                          what a service was told, in the store's database
    access                          who may do what with a service
    notifying                       an alert to people and machines
    client                          a service from elsewhere
    judges                          models that sort responses: where two doors meet
    report, forecast, sampling      where doors meet
    workflow, recorded, labelled    measure, as the method section of a paper would say it; evaluate
    stressing, following            trajectories: under a stress schedule; of versions, runs and rows
    corrected                       a measurement with the classifier's errors undone
    measured, comparing, gating     a measurement from wherever it is kept; one or more against another;
                                    whether a model is let through
    monitor                         a stream against a baseline, with a promise about false alarms (values)
    whole                           files that are whole or not there
    feed, statefile, monitored,     rows as they come, and a stream of them monitored; baselines by
    baselines, orders, sorting,     key, what people say about alerts, rows with verdicts, a classifier
    audited, hook                   asked again, a command for each alert
    scaling                         the same work over many files, by processes or a Ray cluster
    calibrating                     what an alarm would cost and find on a baseline, simulated
    watching                        a model that is asked the same prompts again and again
    training                        a classifier from labelled rows
    experiments                     the paper's experiments and open questions, rerun
    choosing, labelling, labelfile, people's labels: which rows, one rater at them, the file they are
    tasks, raters                   kept in, what a rater sits down to, how far raters agree
    settings, terminal, picture,    faces
    desk, server, cli, pytest_gate,
    inspect_goals

Public names are imported when they are first used, so that `import ethostat` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ethostat.alignment import Alignment as Alignment
    from ethostat.alignment import alignment_work as alignment_work
    from ethostat.drift import Drift as Drift
    from ethostat.calibrating import Calibrated as Calibrated
    from ethostat.calibrating import Change as Change
    from ethostat.calibrating import calibrate as calibrate
    from ethostat.calibrating import changes_for as changes_for
    from ethostat.choosing import Selection as Selection
    from ethostat.classifiers import Classifier as Classifier
    from ethostat.client import AsyncClient as AsyncClient
    from ethostat.client import Client as Client
    from ethostat.client import Told as Told
    from ethostat.comparing import Margins as Margins
    from ethostat.comparing import compare as compare
    from ethostat.comparing import compare_many as compare_many
    from ethostat.corrected import CORRECTIONS as CORRECTIONS
    from ethostat.corrected import Labels as Labels
    from ethostat.corrected import check_calibration as check_calibration
    from ethostat.corrected import correct as correct
    from ethostat.corrected import read_calibration as read_calibration
    from ethostat.corrected import read_labels as read_labels
    from ethostat.corrected import soft_prior as soft_prior
    from ethostat.corrected import stored_labels as stored_labels
    from ethostat.correction import Correction as Correction
    from ethostat.evaluation import Evaluation as Evaluation
    from ethostat.experiments import EXPERIMENTS as EXPERIMENTS
    from ethostat.experiments import reproduce as reproduce
    from ethostat.experiments.curvature import Curvature as Curvature
    from ethostat.experiments.curvature import fisher as fisher
    from ethostat.gating import Asking as Asking
    from ethostat.gating import Ruling as Ruling
    from ethostat.gating import gate as gate
    from ethostat.grouped import Group as Group
    from ethostat.grouped import Grouped as Grouped
    from ethostat.guarantees import Check as Check
    from ethostat.guarantees import Selftest as Selftest
    from ethostat.guarantees import selftest as selftest
    from ethostat.judges import GuardClassifier as GuardClassifier
    from ethostat.judges import JudgeClassifier as JudgeClassifier
    from ethostat.judges import open_classifier as open_classifier
    from ethostat.labelled import evaluate as evaluate
    from ethostat.labelfile import LabelFile as LabelFile
    from ethostat.labelling import Labelling as Labelling
    from ethostat.maths.entropy import ESTIMATORS as ESTIMATORS
    from ethostat.maths.entropy import entropy as entropy
    from ethostat.maths.estimate import Estimate as Estimate
    from ethostat.maths.profile import Profile as Profile
    from ethostat.measurement import Measurement as Measurement
    from ethostat.monitor import KINDS as KINDS
    from ethostat.monitor import Kind as Kind
    from ethostat.monitor import Alert as Alert
    from ethostat.monitor import Audit as Audit
    from ethostat.monitor import AuditPlan as AuditPlan
    from ethostat.monitor import Baseline as Baseline
    from ethostat.monitor import Screened as Screened
    from ethostat.monitor import Screening as Screening
    from ethostat.monitor import Monitor as Monitor
    from ethostat.monitor import Monitors as Monitors
    from ethostat.monitor import Policy as Policy
    from ethostat.monitor import SessionEnd as SessionEnd
    from ethostat.audited import AuditSet as AuditSet
    from ethostat.audited import read_audit as read_audit
    from ethostat.backup import Copied as Copied
    from ethostat.backup import back_up as back_up
    from ethostat.backup import restore as restore
    from ethostat.forgetting import Forgetting as Forgetting
    from ethostat.forgetting import Forgotten as Forgotten
    from ethostat.forgetting import forget as forget
    from ethostat.baselines import read_baseline as read_baseline
    from ethostat.baselines import read_baselines as read_baselines
    from ethostat.hook import Hook as Hook
    from ethostat.baselines import write_baselines as write_baselines
    from ethostat.orders import Order as Order
    from ethostat.orders import give_order as give_order
    from ethostat.orders import read_streams as read_streams
    from ethostat.orders import stream_rows as stream_rows
    from ethostat.monitored import Session as Session
    from ethostat.sorting import Columns as Columns
    from ethostat.sorting import Sorter as Sorter
    from ethostat.models.base import Decoding as Decoding
    from ethostat.models.base import Model as Model
    from ethostat.models.catalog import list_models as list_models
    from ethostat.models.catalog import open_model as open_model
    from ethostat.models.function import FunctionModel as FunctionModel
    from ethostat.models.http import HTTPModel as HTTPModel
    from ethostat.models.local import LocalModel as LocalModel
    from ethostat.models.pool import PoolModel as PoolModel
    from ethostat.models.simulated import SimulatedModel as SimulatedModel
    from ethostat.models.simulated import simulate as simulate
    from ethostat.models.transformers import TransformersModel as TransformersModel
    from ethostat.notifying import Command as Command
    from ethostat.notifying import notify as notify
    from ethostat.notifying import read_routing as read_routing
    from ethostat.notifying import send_test as send_test
    from ethostat.outside import Outside as Outside
    from ethostat.prompts import list_prompt_sets as list_prompt_sets
    from ethostat.prompts import load_prompts as load_prompts
    from ethostat.provenance import check_goals as check_goals
    from ethostat.provenance import classifier_identity as classifier_identity
    from ethostat.raters import Agreement as Agreement
    from ethostat.raters import agreement_of as agreement_of
    from ethostat.raters import stored_agreement as stored_agreement
    from ethostat.recorded import classify_rows as classify_rows
    from ethostat.recorded import measure_transcripts as measure_transcripts
    from ethostat.report import check_calibrated_path as check_calibrated_path
    from ethostat.report import check_evaluation_path as check_evaluation_path
    from ethostat.report import check_groups_path as check_groups_path
    from ethostat.report import check_report_path as check_report_path
    from ethostat.report import check_selftest_path as check_selftest_path
    from ethostat.report import write_calibrated as write_calibrated
    from ethostat.report import write_comparison as write_comparison
    from ethostat.report import write_evaluation as write_evaluation
    from ethostat.report import write_groups as write_groups
    from ethostat.report import write_report as write_report
    from ethostat.report import write_selftest as write_selftest
    from ethostat.report import write_trajectory as write_trajectory
    from ethostat.response import Label as Label
    from ethostat.response import Message as Message
    from ethostat.response import Prompt as Prompt
    from ethostat.response import PromptSet as PromptSet
    from ethostat.response import Response as Response
    from ethostat.response import Verdict as Verdict
    from ethostat.shift import Shift as Shift
    from ethostat.store import Store as Store
    from ethostat.store import default_path as default_path
    from ethostat.store import export as export
    from ethostat.summary import summarise as summarise
    from ethostat.tasks import Task as Task
    from ethostat.tasks import adjudicate as adjudicate
    from ethostat.tasks import begin_labelling as begin_labelling
    from ethostat.taxonomies import load_taxonomy as load_taxonomy
    from ethostat.taxonomy import FIVE_GOALS as FIVE_GOALS
    from ethostat.taxonomy import Goal as Goal
    from ethostat.taxonomy import Taxonomy as Taxonomy
    from ethostat.training.recipe import Head as Head
    from ethostat.training.recipe import Pooling as Pooling
    from ethostat.training.recipe import Recipe as Recipe
    from ethostat.training.trained import Trained as Trained
    from ethostat.training.recipe import Watched as Watched
    from ethostat.training.run import train as train
    from ethostat.conversation import Conversation as Conversation
    from ethostat.conversation import Window as Window
    from ethostat.following import Cut as Cut
    from ethostat.following import trajectory_of_measurements as trajectory_of_measurements
    from ethostat.following import trajectory_of_models as trajectory_of_models
    from ethostat.following import trajectory_of_rows as trajectory_of_rows
    from ethostat.following import trajectory_of_runs as trajectory_of_runs
    from ethostat.scaling import Alone as Alone
    from ethostat.scaling import Crew as Crew
    from ethostat.scaling import Opener as Opener
    from ethostat.scaling import Processes as Processes
    from ethostat.scaling import RayCrew as RayCrew
    from ethostat.scaling import Replayed as Replayed
    from ethostat.scaling import Spread as Spread
    from ethostat.scaling import backfill as backfill
    from ethostat.scaling import backfill_ledger as backfill_ledger
    from ethostat.scaling import Stand as Stand
    from ethostat.scaling import classify_files as classify_files
    from ethostat.scaling import measure_groups as measure_groups
    from ethostat.scaling import read_grouped as read_grouped
    from ethostat.schedules import Schedule as Schedule
    from ethostat.schedules import list_schedules as list_schedules
    from ethostat.schedules import load_schedule as load_schedule
    from ethostat.stressing import Stress as Stress
    from ethostat.stressing import forecast_trajectory as forecast_trajectory
    from ethostat.stressing import stored_trajectory as stored_trajectory
    from ethostat.stressing import trajectory as trajectory
    from ethostat.trajectories import Trajectory as Trajectory
    from ethostat.watching import Look as Look
    from ethostat.watching import Pace as Pace
    from ethostat.watching import Watch as Watch
    from ethostat.watching import default_state as default_state
    from ethostat.workflow import Rules as Rules
    from ethostat.workflow import evidence_of as evidence_of
    from ethostat.workflow import forecast_run as forecast_run
    from ethostat.workflow import measure as measure
    from ethostat.workflow import measure_run as measure_run
    from ethostat.workflow import price_of as price_of
    from ethostat.workflow import review_rows as review_rows
    from ethostat.workflow import stored_measurement as stored_measurement

__version__ = "0.1.0"

_HOMES = {
    "alignment": ("Alignment", "alignment_work"),
    "drift": ("Drift",),
    "calibrating": ("Calibrated", "Change", "calibrate", "changes_for"),
    "choosing": ("Selection",),
    "classifiers": ("Classifier",),
    "client": ("AsyncClient", "Client", "Told"),
    "judges": ("GuardClassifier", "JudgeClassifier", "open_classifier"),
    "comparing": ("Margins", "compare", "compare_many"),
    "corrected": (
        "CORRECTIONS",
        "Labels",
        "check_calibration",
        "correct",
        "read_calibration",
        "read_labels",
        "soft_prior",
        "stored_labels",
    ),
    "correction": ("Correction",),
    "evaluation": ("Evaluation",),
    "experiments": ("EXPERIMENTS", "reproduce"),
    "experiments.curvature": ("Curvature", "fisher"),
    "gating": ("Asking", "Ruling", "gate"),
    "grouped": ("Group", "Grouped"),
    "guarantees": ("Check", "Selftest", "selftest"),
    "labelled": ("evaluate",),
    "labelfile": ("LabelFile",),
    "labelling": ("Labelling",),
    "maths.entropy": ("ESTIMATORS", "entropy"),
    "maths.estimate": ("Estimate",),
    "maths.profile": ("Profile",),
    "measurement": ("Measurement",),
    "models.catalog": ("list_models", "open_model"),
    "models.base": ("Decoding", "Model"),
    "models.function": ("FunctionModel",),
    "models.http": ("HTTPModel",),
    "models.local": ("LocalModel",),
    "models.pool": ("PoolModel",),
    "models.simulated": ("SimulatedModel", "simulate"),
    "models.transformers": ("TransformersModel",),
    "monitor": (
        "KINDS",
        "Alert",
        "Audit",
        "AuditPlan",
        "Baseline",
        "Kind",
        "Monitor",
        "Monitors",
        "Policy",
        "Screened",
        "Screening",
        "SessionEnd",
    ),
    "audited": ("AuditSet", "read_audit"),
    "backup": ("Copied", "back_up", "restore"),
    "forgetting": ("Forgetting", "Forgotten", "forget"),
    "baselines": ("read_baseline", "read_baselines", "write_baselines"),
    "hook": ("Hook",),
    "orders": ("Order", "give_order", "read_streams", "stream_rows"),
    "monitored": ("Session",),
    "sorting": ("Columns", "Sorter"),
    "notifying": ("Command", "notify", "read_routing", "send_test"),
    "outside": ("Outside",),
    "prompts": ("list_prompt_sets", "load_prompts"),
    "response": ("Label", "Message", "Prompt", "PromptSet", "Response", "Verdict"),
    "raters": ("Agreement", "agreement_of", "stored_agreement"),
    "report": (
        "check_calibrated_path",
        "check_evaluation_path",
        "check_groups_path",
        "check_report_path",
        "check_selftest_path",
        "write_calibrated",
        "write_comparison",
        "write_evaluation",
        "write_groups",
        "write_report",
        "write_selftest",
        "write_trajectory",
    ),
    "shift": ("Shift",),
    "store": ("Store", "default_path", "export"),
    "summary": ("summarise",),
    "tasks": ("Task", "adjudicate", "begin_labelling"),
    "taxonomies": ("load_taxonomy",),
    "taxonomy": ("FIVE_GOALS", "Goal", "Taxonomy"),
    "training.recipe": ("Head", "Pooling", "Recipe", "Watched"),
    "training.run": ("train",),
    "training.trained": ("Trained",),
    "provenance": ("check_goals", "classifier_identity"),
    "recorded": ("classify_rows", "measure_transcripts"),
    "conversation": ("Conversation", "Window"),
    "following": (
        "Cut",
        "trajectory_of_measurements",
        "trajectory_of_models",
        "trajectory_of_rows",
        "trajectory_of_runs",
    ),
    "scaling": (
        "Alone",
        "Crew",
        "Opener",
        "Processes",
        "RayCrew",
        "Replayed",
        "Spread",
        "Stand",
        "backfill",
        "backfill_ledger",
        "classify_files",
        "measure_groups",
        "read_grouped",
    ),
    "schedules": ("Schedule", "list_schedules", "load_schedule"),
    "stressing": ("Stress", "forecast_trajectory", "stored_trajectory", "trajectory"),
    "trajectories": ("Trajectory",),
    "watching": ("Look", "Pace", "Watch", "default_state"),
    "workflow": (
        "Rules",
        "evidence_of",
        "forecast_run",
        "measure",
        "measure_run",
        "price_of",
        "review_rows",
        "stored_measurement",
    ),
}
_HOME_OF = {name: f"ethostat.{module}" for module, names in _HOMES.items() for name in names}

__all__ = [
    "__version__",
    *sorted(_HOME_OF),
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'ethostat' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
