"""An import that cannot be used at all is an error at once."""

from __future__ import annotations

import pytest

from xashpc.errors import ConfigError
from xashpc.importing import import_kinds, import_spectra


def test_the_kinds_are_the_documented_ones():
    assert import_kinds() == ("table", "feff_tree", "omnixas", "reference", "bundle", "export")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "needs a 'kind'"),
        ({"kind": "spreadsheet"}, "found 'spreadsheet'"),
        ([], "needs a 'kind'"),
        ("reference", "found 'reference'"),
        ({"kind": "reference", "path": "x"}, "unknown option.*path.*known: none"),
        ({"kind": "table", "source": "s"}, "needs index"),
        ({"kind": "table"}, "needs index, source"),
        ({"kind": "table", "index": "nowhere.csv", "source": "s"}, "cannot be read as CSV"),
        ({"kind": "table", "index": "i.csv", "source": "s", "colunms": {}}, "colunms"),
        ({"kind": "table", "index": "i.csv", "source": " "}, "table.source"),
        ({"kind": "table", "index": "i.csv", "source": "s", "unit": "keV"}, "table.unit"),
        ({"kind": "table", "index": "i.csv", "source": "s", "min_points": 1}, "min_points"),
        ({"kind": "table", "index": "i.csv", "source": "s", "energy_shift_ev": "5"}, "shift"),
        ({"kind": "table", "index": "i.csv", "source": "s", "settings": 3}, "table.settings"),
        ({"kind": "feff_tree", "path": "nowhere", "source": "s"}, "there is no folder"),
        ({"kind": "feff_tree", "path": "x", "source": ""}, "feff_tree.source"),
        ({"kind": "feff_tree", "path": "x", "source": "s", "engine_version": 9.6}, "in quotes"),
        ({"kind": "omnixas", "path": "nowhere"}, "cu_k_feff99.npz is not there"),
        ({"kind": "omnixas", "path": "x", "label": "false"}, "omnixas.label"),
        ({"kind": "omnixas", "path": "x", "ids": "mp-1"}, "omnixas.ids"),
    ],
)
def test_an_unusable_spec_is_an_error_when_called(spec, message):
    with pytest.raises(ConfigError, match=message):
        import_spectra(spec)


def test_a_folder_without_runs_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="no xmu.dat and no feff.inp"):
        import_spectra({"kind": "feff_tree", "path": str(tmp_path), "source": "s"})
