# SPDX-License-Identifier: GPL-3.0-or-later
"""What all unit tests share."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import configuration, settings

configuration.set_hypothesis_home_dir(Path(__file__).parents[2] / ".cache/hypothesis")
# Two cores run many tests at once: a slow example is no failure.
settings.register_profile("checkout", deadline=None, print_blob=True)
settings.load_profile("checkout")


@pytest.fixture
def load_program(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], ModuleType]:
    """A role's program as a module of this test's own, whose parts can be replaced."""

    def load(path: Path) -> ModuleType:
        loader = SourceFileLoader(path.name, str(path))
        spec = importlib.util.spec_from_loader(path.name, loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        # Dataclasses ask for their module by its name.
        monkeypatch.setitem(sys.modules, path.name, module)
        loader.exec_module(module)
        return module

    return load
