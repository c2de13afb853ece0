"""Hosting: a local model behind llama.cpp's own OpenAI-compatible server, in a process of its own.

    python -m ethostat.models.hosting FILE SLOTS CONTEXT

prints where it listens, and serves until its standard input ends: so it goes with its parent, however that dies.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from ethostat.errors import MissingExtra, ModelNotFound, ServerFault
from ethostat.models.weights import PACKAGED

_GGUF = "gguf:"


def is_hosted(spec: str) -> bool:
    """Whether this names a local model, as `smollm2` or `gguf:PATH`, rather than a server."""
    return spec in PACKAGED or spec.startswith(_GGUF)


@contextmanager
def hosted(spec: str, *, slots: int = 4, context: int = 2048) -> Iterator[str]:
    """The base URL, with /v1, of a server of a local model on this machine, until this is left.

    `slots` answers are written at once, each with up to `context` tokens, prompt and answer together. It answers to any
    model's name. For trying things, and for traffic that is small: it runs on one thread of the processor. Raises
    ModelNotFound where there are no such weights, MissingExtra without llama.cpp, ServerFault where it does not start.
    """
    weights = _weights(spec)
    if find_spec("xllamacpp") is None:
        raise MissingExtra("xllamacpp", "local")
    command = [sys.executable, "-m", __name__, str(weights), str(slots), str(context)]
    # Its threads spin while they wait; passive waiting leaves the processors to the work.
    quietly = {"OMP_WAIT_POLICY": "passive", **os.environ}
    with subprocess.Popen(  # noqa: S603 - our own module, and a file that exists
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=quietly
    ) as process:
        assert process.stdout is not None  # noqa: S101 - it was opened with pipes
        try:
            address = process.stdout.readline().decode().strip()
            if not address:
                raise ServerFault(f"{spec}: llama.cpp does not serve it; check that the file is a whole GGUF model")
            yield f"{address}/v1"
        finally:
            process.terminate()


def main(path: str, slots: str, context: str) -> None:
    """Serve until the input ends."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = path
    settings.n_parallel = int(slots)
    settings.n_ctx = int(slots) * int(context)
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    settings.kv_unified = settings.warmup = settings.ui = settings.endpoint_slots = False
    settings.verbosity, settings.cache_ram_mib = -1, 0
    server = xllamacpp.Server(settings)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


def _weights(spec: str) -> Path:
    if spec in PACKAGED:
        return PACKAGED[spec].path()
    path = Path(spec.removeprefix(_GGUF)).expanduser()
    if not path.is_file():
        raise ModelNotFound(f"there is no file {path}; gguf:PATH names a GGUF model on this machine")
    return path


if __name__ == "__main__":
    main(*sys.argv[1:])
