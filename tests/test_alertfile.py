"""AlertFile: each alert once, wherever a crash cut it off, whoever else writes."""

from __future__ import annotations

import json

import pytest

from ethostat.alertfile import AlertFile
from ethostat.errors import InvalidInput

ALERT = {"id": "monitor/1", "message": "g2 rose\n"}
LINE = json.dumps(ALERT).encode() + b"\n"


def test_cut_off_anywhere_it_is_completed(tmp_path):
    """Of an alert that a crash left out, half-written or whole, what is missing is added and nothing else."""
    path = tmp_path / "alerts.jsonl"
    for written in range(len(LINE) + 1):
        path.write_bytes(b"before\n" + LINE[:written])
        AlertFile(path).add(ALERT, since=len(b"before\n"))
        assert path.read_bytes() == b"before\n" + LINE


def test_the_same_alert_of_another_time_is_another(tmp_path):
    """Only what stands behind the size that was kept counts, so that a watch that begins anew loses no alert."""
    file = AlertFile(tmp_path / "alerts.jsonl")
    file.add(ALERT, since=file.size)
    file.add(ALERT, since=file.size)

    assert file.path.read_bytes() == 2 * LINE


def test_what_others_write_stays(tmp_path):
    """Another writer's lines are left alone, whole or half; a file that was put away begins anew."""
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(b'{"id": "other"}\n{"id": "o')
    AlertFile(path).add(ALERT, since=0)
    assert path.read_bytes() == b'{"id": "other"}\n{"id": "o\n' + LINE

    path.write_bytes(b"")
    AlertFile(path).add(ALERT, since=1000)
    assert path.read_bytes() == LINE


def test_no_path_and_no_place(tmp_path):
    """Without a path nothing is written; a path that cannot be written is an error that names it."""
    AlertFile(None).add(ALERT, since=0)
    with pytest.raises(InvalidInput, match="cannot be"):
        AlertFile(tmp_path / "none" / "alerts.jsonl").add(ALERT, since=0)
