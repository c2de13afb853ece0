"""The state of a stream in few bytes."""

import json

import numpy as np
import pytest

import ethostat as es
from ethostat.errors import InvalidInput
from ethostat.monitor.packing import pack, unpack

KEYS = es.FIVE_GOALS.keys
NORMAL, CHANGED = (0.97, 0.01, 0.01, 0.005, 0.005), (0.80, 0.10, 0.05, 0.03, 0.02)


def after(responses: int, shares: tuple[float, ...], **settings: float) -> es.Monitor:
    """A monitor that has seen so many responses of a profile, against 1,000 normal ones."""
    monitor = es.Monitor(es.Profile((970, 10, 10, 5, 5)), **settings)
    for label in np.random.default_rng(4).choice(5, size=responses, p=shares).tolist():
        monitor.update(KEYS[label])
    return monitor


@pytest.mark.parametrize(("responses", "shares"), [(0, NORMAL), (30, NORMAL), (60, CHANGED)])
def test_a_packed_state_is_the_state(responses, shares) -> None:
    """Before, during and after a change: what comes back is the same to the last bit."""
    state = after(responses, shares).state_to_dict()

    assert unpack(pack(state)) == json.loads(json.dumps(state))


@pytest.mark.parametrize("shares", [NORMAL, CHANGED, (0.62, 0.18, 0.08, 0.04, 0.08)], ids=str)
def test_a_stream_takes_less_than_a_kilobyte(shares) -> None:
    """1,500 responses, the 1,024 that are looked back on among them: under 1,000 bytes of text up to S = 1.1."""
    monitor = es.Monitor(es.Baseline.of_first(400), run_length=1e9)
    for label in np.random.default_rng(4).choice(5, size=1500, p=shares).tolist():
        monitor.update(KEYS[label])

    assert len(pack(monitor.state_to_dict())) < 1000


def test_labels_of_any_number_of_goals_come_back() -> None:
    """Two goals to thirty-six, any number of labels; a stratum of the same name is left alone."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    for goals in (1, 2, 3, 5, 6, 7, 16, 17, 36):
        for count in (0, 1, 7, 100):
            labels = "".join(digits[n * n % goals] for n in range(count))
            fields = {"memory": {"labels": labels}, "first": {"labels": [1.0, 2.0], "wealth": [3.0, 4.5]}}
            assert unpack(pack(fields)) == fields


def test_states_of_an_earlier_version_are_read() -> None:
    """Those have no mark, wealth in hexadecimal and labels in the JSON."""
    text = "c==E7TL*)s9%H1ShdUMSD9c1kI7qTIPP0f!O-V9MG)OZ~HnTJ^1{NB%pb{oGzo-(V5AG%dLjxnA8~{O*9{d"
    fields = {"step": 3, "watch": {"state": {"wealth": [0.1, 2.5e-7]}}, "memory": {"labels": "0102"}}

    assert unpack(text) == fields


def test_monitors_are_kept_packed_and_read_either_way() -> None:
    """States of streams are text; plain ones, as before, are read too."""
    monitors = es.Monitors(after(0, NORMAL))
    for key in ("a", "b"):
        monitors.update("g2", (key,))
    fields = json.loads(json.dumps(monitors.to_dict()))
    plain = {**fields, "streams": [{**one, "state": unpack(one["state"])} for one in fields["streams"]]}

    assert isinstance(fields["streams"][0]["state"], str)
    assert es.Monitors.from_dict(fields).to_dict() == es.Monitors.from_dict(plain).to_dict() == fields


@pytest.mark.parametrize(
    "text", ["", "no state", pack({"step": 1})[:-3], "." + pack({"step": 1})[5:], ".c", "\N{SNOWMAN}"]
)
def test_what_is_no_packed_state_is_refused(text) -> None:
    """Cut off, damaged, or something else."""
    with pytest.raises(InvalidInput, match="packed state"):
        unpack(text)


def test_a_state_of_other_alternatives_is_refused() -> None:
    """Evidence that an earlier version kept on 90 alternatives cannot go on with these."""
    fields = after(30, NORMAL).to_dict()
    fields["state"]["watch"]["state"]["wealth"] = [0.01] * 90

    with pytest.raises(InvalidInput, match="90 alternatives"):
        es.Monitor.from_dict(fields)
