"""What is special to a model in this process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from asking import PROMPT, ask
from ethostat.errors import ContextOverflow, ModelError, ModelNotFound
from ethostat.models.base import Decoding
from ethostat.models.local import LocalModel
from ethostat.models.weights import PackagedWeights, sha256_of


def test_seeds_of_a_row_answer_as_if_alone(smollm2: LocalModel) -> None:
    """The answers of seeds 20 to 22, written together, begin as when each is asked by itself."""
    together = ask(smollm2, range(20, 23))

    for response in together:
        (alone,) = ask(smollm2, [response.seed or 0])
        assert alone.text.split()[:3] == response.text.split()[:3]


def test_an_answer_that_the_context_would_cut_is_refused(smollm2: LocalModel) -> None:
    """Prompt and answer must fit together: a long max_tokens is ContextOverflow, not a shorter answer."""
    endless = Decoding(temperature=1.5, max_tokens=2000)

    with pytest.raises(ContextOverflow, match="context of 256"):
        ask(smollm2, range(4), decoding=endless)


def test_nothing_is_printed() -> None:
    """llama.cpp's own log stays silent: stdout belongs to the command."""
    script = (
        "import asyncio\n"
        "from ethostat.models.base import Decoding\n"
        "from ethostat.models.local import LocalModel\n"
        "from ethostat.response import Prompt\n"
        "async def run():\n"
        "    model = LocalModel('smollm2', slots=1, context=128)\n"
        "    async for _ in model.sample(Prompt.from_text('Hi'), Decoding(max_tokens=2), [1]): pass\n"
        "    await model.aclose()\n"
        "asyncio.run(run())\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)

    assert (done.stdout, done.stderr) == ("", "")


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    """A file that is not GGUF is a ModelError with its path."""
    path = tmp_path / "no.gguf"
    path.write_bytes(b"not a model")

    with pytest.raises(ModelError, match=r"no\.gguf cannot be loaded as GGUF"):
        ask(LocalModel(path))


def test_the_digest_follows_the_file(tmp_path: Path) -> None:
    """The SHA-256 of a file is remembered until the file changes."""
    path = tmp_path / "weights"
    path.write_bytes(b"abc")
    first = sha256_of(path)

    path.write_bytes(b"abcd")

    # SHA-256 of "abc": FIPS 180-4, example 1.
    assert first == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(path) != first


def test_parts_are_joined_once_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts in packages become one file in the cache directory; wrong parts are refused and leave nothing."""
    for i, content in enumerate((b"ab", b"c")):
        package = tmp_path / f"weights_part{i}"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "part").write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    parts = (("weights_part0", "part"), ("weights_part1", "part"))
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    path = PackagedWeights("tiny", parts, abc, is_chat=False, install="").path()
    with pytest.raises(ModelNotFound, match="do not join"):
        PackagedWeights("other", parts, "0" * 64, is_chat=False, install="").path()

    assert path.read_bytes() == b"abc"
    assert list(path.parent.iterdir()) == [path]


def test_a_call_left_early_lets_the_next_one_in(smollm2: LocalModel) -> None:
    """Leaving the answers of one call unread does not block the model."""

    async def run() -> int:
        answers = smollm2.sample(PROMPT, Decoding(max_tokens=4), range(8))
        async for _ in answers:
            break
        await answers.aclose()  # type: ignore[attr-defined]
        return len([r async for r in smollm2.sample(PROMPT, Decoding(max_tokens=2), [1, 2])])

    assert asyncio.run(run()) == 2
