"""Trajectories of simulated models: what is found is held against what is known."""

from __future__ import annotations

import json

import ethostat as es
from ethostat.cli import app
from ethostat.cli.frame import run

STEPS = 40


def follow(
    scenario: str, *, steps: int = STEPS, samples: int = 20, seed: int = 1, **parameters: float
) -> es.Trajectory:
    """The trajectory of a simulated model under a schedule of eight conversations."""
    stress = es.Stress(es.load_schedule("crescendo"), steps=steps, samples=samples, replicates=8)
    return es.trajectory(
        es.SimulatedModel(scenario, parameters), stress, seed=seed, classifier=es.open_classifier("goals-in-text")
    )


def test_a_relaxation_is_found():
    """S at 40 steps, mean rate, early rate, S_inf and tau: 95 % intervals, of which few miss the truth."""
    parameters = {"from": 0.2, "to": 1.0, "tau": 8.0}
    truth = es.SimulatedModel("relaxation", parameters).truth
    found = follow("relaxation", **parameters)

    rates = found.rates
    figures = [
        (rates.mean_rate, (truth(STEPS) - truth(1)) / (STEPS - 1)),
        (rates.early_rate, (1.0 - truth(1)) / 8),
        (rates.relaxation.limit, 1.0),
        (rates.relaxation.tau, 8.0),
    ]
    assert sum(point.entropy.low <= truth(point.step) <= point.entropy.high for point in found.points) >= 34
    assert sum(one.low < known < one.high for one, known in figures) >= 3
    assert rates.relaxation.is_curved
    assert not rates.constancy.is_possible


def test_a_swap_is_seen_though_s_is_still():
    """Where g1 and g2 change places S does not move, and the direction says what S cannot."""
    rates = follow("swap", when=20, at=0.4).rates

    assert rates.slope.low < 0 < rates.slope.high
    assert [rates.goals[k] for k in rates.direction.rose] == ["g2"]
    assert [rates.goals[k] for k in rates.direction.fell] == ["g1"]


def test_the_calm_after_a_burst_comes_back():
    """A burst shows in the points and leaves nothing behind at the end."""
    found = follow("burst", when=10, **{"for": 5, "from": 0.3, "to": 1.2})

    s = [point.entropy.value for point in found.points]
    assert min(s[9:14]) > 0.9
    assert max(s[:9] + s[14:]) < 0.6


def test_base_against_tuned_gives_the_work(capsys, tmp_path, monkeypatch):
    """`trajectory TUNED --against BASE` finds the W of two simulated models, and that drift was held back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    base, tuned = "sim:relaxation?from=0.2&to=1.0&tau=8", "sim:constant?at=0.2"
    arguments = ["--classifier", "goals-in-text", "--steps", "30", "--replicates", "8", "--seed", "3", "--json"]

    code = run(app, ["trajectory", tuned, "--against", base, *arguments])
    found = json.loads(capsys.readouterr().out)
    truth = es.open_model(base).truth
    assert code == 0
    assert found["work"]["low"] < truth(30) - truth(1) < found["work"]["high"]
    assert found["p_value"] <= 0.05
    assert "held drift back" in found["words"]
    assert found["tuned"]["model"].startswith("sim:constant")
