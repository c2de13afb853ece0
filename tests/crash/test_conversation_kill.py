"""kill -9 in the middle of conversations: nothing is lost, nothing is asked for twice, every history stays whole."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from ethostat.store import Store

TALKER = Path(__file__).with_name("talker.py")
WHOLE = 12 * 4 * 6


def start(tmp_path: Path) -> subprocess.Popen[bytes]:
    """A process that goes on with the conversations."""
    return subprocess.Popen([sys.executable, TALKER, tmp_path / "runs.db", tmp_path / "calls.log"])


def calls(tmp_path: Path) -> Counter[str]:
    """How often each answer was asked for."""
    path = tmp_path / "calls.log"
    return Counter(path.read_text().splitlines()) if path.exists() else Counter()


def stored(tmp_path: Path) -> dict[tuple[str, int], str]:
    """The texts on disk by turn and index."""
    with Store(tmp_path / "runs.db") as store:
        return {(r.prompt.id, r.index): r.text for run in store.runs() for r in store.responses(run.id)}


def test_killed_conversations_lose_and_repeat_nothing(tmp_path):
    """Killed three times and resumed, every answer is there once and answers to the history that is stored."""
    rng, kept, asked = random.Random(3), {}, Counter()  # noqa: S311 - moments of death, not secrets

    for _ in range(3):
        process = start(tmp_path)
        goal = calls(tmp_path).total() + rng.randrange(20, 80)
        while calls(tmp_path).total() < goal and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert kept.items() <= stored(tmp_path).items()
        assert all(calls(tmp_path)[text] == asked[text] for text in kept.values())
        kept, asked = stored(tmp_path), calls(tmp_path)
    assert start(tmp_path).wait(timeout=300) == 0

    final = stored(tmp_path)
    assert kept.items() <= final.items()
    assert len(final) == WHOLE
    with Store(tmp_path / "runs.db") as store:
        assert [run.status for run in store.runs()] == ["finished"]
        for response in store.responses(store.get_run("latest").id):
            heard = "\n".join(message.content for message in response.prompt.messages)
            assert response.text.endswith(hashlib.sha256(heard.encode()).hexdigest()[:12])
