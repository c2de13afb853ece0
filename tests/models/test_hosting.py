"""A local model behind a server of its own; the README's test has it answer."""

from __future__ import annotations

import pytest

from ethostat.errors import ModelNotFound, ServerFault
from ethostat.models.hosting import hosted, is_hosted


def test_names_and_files_are_hosted_and_urls_are_not():
    """What names a local model is told from what names a server."""
    assert [is_hosted(spec) for spec in ("smollm2", "gguf:x", "https://host/v1", "localhost:8000")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_what_cannot_be_hosted_is_said(tmp_path):
    """No file, or a file that is no model: an error that names it, and nothing is left running."""
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF and no more")

    with pytest.raises(ModelNotFound, match=r"there is no file .*none\.gguf"), hosted(f"gguf:{tmp_path}/none.gguf"):
        pass
    with pytest.raises(ServerFault, match="whole GGUF model"), hosted(f"gguf:{broken}"):
        pass
