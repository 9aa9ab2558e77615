"""Another package brings an engine, its handlers and a model by entry points alone."""

from __future__ import annotations

import sys

import pytest

from xashpc.engines import engine_names, get_engine
from xashpc.errors import ConfigError
from xashpc.models import get_model, model_names
from xashpc.recovery.run import _handlers

CODE = '''
from xashpc.engines.feff import FeffEngine
from xashpc.models.lce import LceMlp
from xashpc.recovery.feff import FEFF_HANDLERS


class OtherEngine(FeffEngine):
    name = "other-code"


class OtherModel(LceMlp):
    name = "other-net"


HANDLERS = FEFF_HANDLERS[:1]
'''
ENTRY_POINTS = """
[xashpc.engines]
other-code = other_package:OtherEngine
feff = other_package:OtherEngine
broken = other_package:Absent

[xashpc.handlers]
other-code = other_package:HANDLERS

[xashpc.models]
other-net = other_package:OtherModel
"""


@pytest.fixture
def other_package(tmp_path, monkeypatch):
    information = tmp_path / "other-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "other_package.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("other_package", None)


def test_an_installed_package_adds_to_each_seam(other_package):
    assert "other-code" in engine_names() and "other-net" in model_names()
    assert type(get_engine("other-code")).__name__ == "OtherEngine"
    assert type(get_model("other-net")).__name__ == "OtherModel"
    assert len(_handlers("other-code")) == 1


def test_nobody_takes_a_name_of_ours(other_package):
    assert type(get_engine("feff")).__name__ == "FeffEngine"


def test_a_broken_package_is_named(other_package):
    with pytest.raises(ConfigError, match="cannot load other_package:Absent"):
        get_engine("broken")


def test_an_engine_without_handlers_has_none():
    assert _handlers("never-heard-of") == ()
