"""Ten kills, nothing lost, nothing asked for twice: `ethostat measure` against a real server.

    python benchmarks/kill_resume.py [--kills 10] [--prompts 12] [--samples 16] [--seed 1]

SmolLM2-135M runs behind llama.cpp's own HTTP server; a proxy between it and ethostat notes every request and
every answer that it passed on. `ethostat measure` is started, killed with SIGKILL at a random moment, and started
again with the same command, until it may finish. Counted are

  lost      responses that were on disk once and are not at the end, answers that were passed on half a second or
            more before a kill and are not on disk after it, and (prompt, index) that are missing at the end;
  repeated  requests for a response that was on disk before its process began.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ethostat.models.base import Decoding
from ethostat.models.weights import PACKAGED
from ethostat.prompts import load_prompts
from ethostat.sampling import Plan
from ethostat.store import Store

SERVER = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.hostnames, params.port = ["127.0.0.1"], 0
params.n_parallel, params.n_ctx, params.kv_unified = 8, 8 * 1024, False
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.warmup, params.verbosity = False, -1
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
time.sleep(3600)
"""
TOKENS = 12
SURELY_ON_DISK = 0.5  # seconds from an answer to its commit, at the very most


@dataclass
class Passed:
    """One request that the proxy passed on: the prompt's text, the first seed, how many answers, when they left."""

    text: str
    seed: int
    n: int
    answered: float | None = None
    said: list[str] = field(default_factory=list)


class Proxy(ThreadingHTTPServer):
    """Passes requests on and remembers them."""

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), Pass)
        self.upstream, self.passed, self.lock = upstream, [], threading.Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed breaks its connections; that is what is tested here."""


class Pass(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Proxy

    def do_GET(self) -> None:
        """The list of models."""
        self._send(*self._upstream(None))

    def do_POST(self) -> None:
        """A request for answers."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        asked = json.loads(body)
        note = Passed(asked["messages"][-1]["content"], asked["seed"], asked.get("n", 1))
        with self.server.lock:
            self.server.passed.append(note)
        status, content = self._upstream(body)
        self._send(status, content)
        if status == 200:
            note.said = [choice["message"]["content"] for choice in json.loads(content)["choices"]]
            note.answered = time.monotonic()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _upstream(self, body: bytes | None) -> tuple[int, bytes]:
        request = urllib.request.Request(  # noqa: S310 - loopback
            self.server.upstream + self.path, body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:  # noqa: S310
                return reply.status, reply.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()


@dataclass
class Trial:
    """One run, its deaths and what was counted."""

    command: list[str]
    database: Path
    proxy: Proxy
    plan: Plan
    lost: int = 0
    repeated: int = 0

    def session(self, *, die_after: float | None) -> int:
        """Run the command until it ends, or until so many seconds after its first answer; gives its exit code."""
        before, first = self.stored(), len(self.proxy.passed)
        process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if die_after is not None:
            self._kill(process, first, die_after)
        died = time.monotonic()
        output = process.communicate()[1]
        if process.returncode not in (0, -9):
            print(output.decode())
        passed = self.proxy.passed[first:]
        self._count(before, passed, died if die_after is not None else time.monotonic())
        return process.returncode

    def stored(self) -> dict[tuple[str, int], str]:
        """The texts on disk, by prompt and index."""
        if not self.database.exists():
            return {}
        with Store(self.database) as store:
            runs = store.runs()
            assert len(runs) <= 1, "the run was not resumed: a second one was begun"
            return {(r.prompt.id, r.index): r.text for run in runs for r in store.responses(run.id)}

    def _kill(self, process: subprocess.Popen[bytes], first: int, die_after: float) -> None:
        while process.poll() is None and not any(note.answered for note in self.proxy.passed[first:]):
            time.sleep(0.005)
        time.sleep(die_after)
        process.kill()

    def _count(self, before: dict[tuple[str, int], str], passed: list[Passed], died: float) -> None:
        after = self.stored()
        self.lost += sum(after.get(place) != text for place, text in before.items())
        places = {
            (prompt.text, self.plan.seed_of(prompt, index)): (prompt.id, index)
            for prompt in self.plan.prompts
            for index in range(self.plan.wanted(prompt))
        }
        on_disk = sorted(after.values())
        for note in passed:
            asked = [places.get((note.text, note.seed + i)) for i in range(note.n)]
            self.repeated += sum(place in before for place in asked if place)
            if note.answered is not None and note.answered < died - SURELY_ON_DISK:
                self.lost += sum(said not in on_disk for said in note.said)


def main() -> None:
    """Kill, resume, count, and say PASS or FAIL."""
    options = _options()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    path = str(PACKAGED["smollm2"].path())
    server = subprocess.Popen([sys.executable, "-c", SERVER, path], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        proxy = Proxy(address if address.startswith("http") else f"http://{address}")
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        with tempfile.TemporaryDirectory() as folder:
            found = kill_and_resume(Path(folder), proxy, options)
    finally:
        server.kill()
        server.wait()
    print(json.dumps(found))
    print("PASS" if not found["lost"] and not found["repeated"] and found["complete"] else "FAIL")
    sys.exit(0 if not found["lost"] and not found["repeated"] and found["complete"] else 1)


def kill_and_resume(folder: Path, proxy: Proxy, options: argparse.Namespace) -> dict[str, object]:
    """The trial: so many deaths, then a session that may finish."""
    prompts = folder / "prompts.txt"
    prompts.write_text("".join(f"Tell me one thing about the number {i}.\n" for i in range(1, options.prompts + 1)))
    plan = Plan(load_prompts(str(prompts)), Decoding(max_tokens=TOKENS), options.samples, options.seed)
    model = f"http://127.0.0.1:{proxy.server_address[1]}/v1#smollm2"
    command = [str(Path(sys.executable).with_name("ethostat")), "measure", model, "--prompts", str(prompts), "--json"]
    command += ["--samples", str(options.samples), "--max-tokens", str(TOKENS), "--seed", str(options.seed)]
    command += ["--concurrency", "2"]
    trial = Trial([*command, "--db", str(folder / "runs.db")], folder / "runs.db", proxy, plan)
    rng, kills = random.Random(options.seed), 0  # noqa: S311 - moments of death, not secrets
    while kills < options.kills:
        code = trial.session(die_after=rng.uniform(0, options.longest))
        if code != -9:
            print(f"the run ended after {kills} kills (exit {code}): give more --samples or a shorter --longest")
            break
        kills += 1
        print(
            f"kill {kills}: {len(trial.stored())} of {plan.total} on disk, lost {trial.lost}, repeated {trial.repeated}"
        )
    code = trial.session(die_after=None) if kills == options.kills else 1
    asked = sum(note.n for note in proxy.passed)
    complete = code == 0 and len(trial.stored()) == plan.total
    return {
        "kills": kills,
        "responses": len(trial.stored()),
        "wanted": plan.total,
        "answers_asked_for": asked,
        "under_way_at_kills": asked - plan.total,
        "lost": trial.lost,
        "repeated": trial.repeated,
        "complete": complete,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--prompts", type=int, default=12)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=1.5, help="seconds from first answer to death, at most")
    return parser.parse_args()


if __name__ == "__main__":
    main()
