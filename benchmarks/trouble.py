"""What the service does in trouble: a real one under load, and a disk, database, clock or classifier that fails.

    python benchmarks/trouble.py [slow] [full] [gone] [clock] [crash] [--seconds 60] [--json FILE]

  slow    the kernel lets the service write 20 blocks a second (cgroup blkio or io; needs root)
  full    its file system is full to the last byte (a tmpfs; needs root)
  gone    PostgreSQL takes no connections and has none
  clock   its wall clock is set an hour on, two hours back, and right again
  crash   every classifying process is killed, ten times a second

Each lasts `--seconds`, while three clients tell 20 events a request, a third of them to classify, and tell again what
was not acknowledged. Measured: what was acknowledged meanwhile, whether /readyz and /metrics said so and when, how long
until all was well again. Then the log, the counts, the alerts and every monitor are held against what was acknowledged
and against a replay.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from _table import Row, fact, line
from servers import connecting, new_database, postgres
from serving import FLAGS, RUN, STEPPED, Client, Serving, check_whole

WRITES_A_SECOND = 20
_MOST_WAIT = 600.0


def main() -> None:
    """Run the parts that are named, all by default."""
    options = _options()
    rows: list[Row] = []
    for part in options.parts or list(PARTS):
        with tempfile.TemporaryDirectory() as folder:
            rows += PARTS[part](Path(folder), options.seconds)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    raise SystemExit(0 if all(row["met"] for row in rows) else 1)


# Parts


def slow(folder: Path, seconds: float) -> list[Row]:
    """A disk of 20 writes a second."""
    with _served(str(folder / "serve.db"), folder) as one, _throttled(one.process.pid, folder):
        return _under("slow disk", one, str(folder / "serve.db"), seconds, says=None)


def full(folder: Path, seconds: float) -> list[Row]:
    """A file system without a free byte."""
    with _mounted(folder, megabytes=64) as small, _served(str(small / "serve.db"), folder) as one:

        @contextmanager
        def filled() -> Iterator[None]:
            ballast = small / "ballast"
            with ballast.open("wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(b"x" * 65_536)
            yield
            ballast.unlink()

        return _under("full disk", one, str(small / "serve.db"), seconds, filled, says="intake")


def gone(folder: Path, seconds: float) -> list[Row]:
    """A PostgreSQL that cannot be reached."""
    with postgres(folder / "postgres") as server:
        database = new_database(server, "trouble")
        with _served(database, folder) as one:
            cut = lambda: connecting(server, database, allowed=False)  # noqa: E731
            return _under("database gone", one, database, seconds, cut, says="intake")


def clock(folder: Path, seconds: float) -> list[Row]:
    """A wall clock that is set."""
    os.chdir(folder)  # the service's clock is a file in its folder
    (folder / "clock").write_text("0")

    @contextmanager
    def set_about() -> Iterator[None]:
        def turn() -> None:
            for offset in ("3600", "-3600", "0"):
                (folder / "next").write_text(offset)
                (folder / "next").replace(folder / "clock")
                time.sleep(seconds / 3)

        turning = threading.Thread(target=turn)
        turning.start()
        yield
        turning.join()

    with _served(str(folder / "serve.db"), folder, program=STEPPED) as one:
        return _under("clock set", one, str(folder / "serve.db"), seconds, set_about, says=None)


def crash(folder: Path, seconds: float) -> list[Row]:
    """Classifiers that die."""
    with _served(str(folder / "serve.db"), folder) as one:
        parent = psutil.Process(one.process.pid)

        @contextmanager
        def killing() -> Iterator[None]:
            over, killed = threading.Event(), []

            def kill() -> None:
                while not over.wait(0.1):
                    for worker in parent.children():
                        worker.kill()
                        killed.append(worker.pid)

            thread = threading.Thread(target=kill)
            thread.start()
            yield
            over.set()
            thread.join()

        return _under("classifiers killed", one, str(folder / "serve.db"), seconds, killing, says=None)


PARTS: dict[str, Callable[[Path, float], list[Row]]] = {
    "slow": slow, "full": full, "gone": gone, "clock": clock, "crash": crash,
}  # fmt: skip


# How it is done


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _under(
    name: str,
    one: Serving,
    database: str,
    seconds: float,
    trouble: Callable = _nothing,
    *,
    says: str | None,
) -> list[Row]:
    """Load, trouble for so long, peace; `says` is the part that must say that it cannot work."""
    clients = [Client(number, one.port) for number in range(3)]
    for client in clients:
        client.start()
    time.sleep(3.0)
    before, began, said = _acknowledged(clients), time.monotonic(), None
    with trouble():
        while time.monotonic() < began + seconds:
            if said is None and _degraded(one) & ({says} if says else {"intake", "classifying", "following"}):
                said = time.monotonic() - began
            time.sleep(0.25)
        meanwhile = _acknowledged(clients) - before
    ended = time.monotonic()
    one.wait_until(lambda: not _degraded(one), seconds=_MOST_WAIT)
    well = time.monotonic() - ended
    for client in clients:
        client.stopping.set()
    for client in clients:
        client.join()
    one.wait_until(lambda: not any(s["lag"]["events"] for s in one.get("/v1/streams")["streams"]), seconds=_MOST_WAIT)
    one.stop()
    events = check_whole(database, clients)  # raises where anything is lost, doubled or other than in a replay
    rows = [
        fact(f"{name}: events acknowledged in {seconds:.0f} s of it", meanwhile),
        fact(f"{name}: requests refused with 429 or 503", sum(client.refused for client in clients)),
        fact(f"{name}: seconds from its end until /readyz was 200", well),
        line(f"{name}: lost, doubled, or other than a replay ({events:,} in the log)", 0, "0", met=True),
    ]
    if says is not None:
        rows.insert(
            2,
            line(
                f"{name}: seconds until /readyz and /metrics said so",
                said or -1.0,
                "within 10",
                met=said is not None and said < 10,
            ),
        )
    elif said is not None:
        rows.insert(2, fact(f"{name}: seconds until /readyz and /metrics said so", said))
    return rows


def _acknowledged(clients: list[Client]) -> int:
    return sum(len(client.acknowledged) for client in clients)


def _degraded(one: Serving) -> set[str]:
    """The parts of which both pages say that they cannot work."""
    with httpx.Client(base_url=one.url, timeout=30) as asking:
        ready, metrics = asking.get("/readyz").json(), asking.get("/metrics").text
    return {part for part in ready["degraded"] if f'ethostat_degraded{{part="{part}"}} 1.0' in metrics}


@contextmanager
def _served(database: str, folder: Path, *, program: str = RUN) -> Iterator[Serving]:
    one = Serving(database, folder / "log", *FLAGS, program=program)
    try:
        yield one
    finally:
        one.close()


@contextmanager
def _throttled(pid: int, folder: Path) -> Iterator[None]:
    """The kernel lets this process, and no other, write so many blocks a second to the disk of this folder."""
    device = _disk_of(folder)
    second = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    root = Path("/sys/fs/cgroup") if second else Path("/sys/fs/cgroup/blkio")
    group = root / "ethostat-trouble"
    group.mkdir()
    try:
        if second:
            (group / "io.max").write_text(f"{device} wiops={WRITES_A_SECOND}")
        else:
            (group / "blkio.throttle.write_iops_device").write_text(f"{device} {WRITES_A_SECOND}")
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                group.rmdir()
                break
            except OSError:  # the processes in it are on their way out
                time.sleep(0.2)


def _disk_of(folder: Path) -> str:
    """Major and minor number of the whole disk that a folder lies on."""
    number = folder.stat().st_dev
    here = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    disk = here.parent if (here / "partition").exists() else here
    return (disk / "dev").read_text().strip()


@contextmanager
def _mounted(folder: Path, *, megabytes: int) -> Iterator[Path]:
    small = folder / "small"
    small.mkdir()
    with ExitStack() as stack:
        subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(small)], check=True)
        stack.callback(subprocess.run, ["/bin/umount", "--lazy", str(small)], check=True)
        yield small


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which parts; all by default")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
