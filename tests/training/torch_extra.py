"""A mark for tests that train."""

import importlib.util

import pytest

NEEDED = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="the extra `train` is not installed")
