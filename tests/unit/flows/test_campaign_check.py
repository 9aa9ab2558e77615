"""Wrong campaigns are refused before anything is stored or computed."""

from __future__ import annotations

import pytest

from xashpc.errors import ConfigError, XasHpcError
from xashpc.flows.campaign_check import check_campaign
from xashpc.flows.config import CampaignConfig


@pytest.fixture
def good(tmp_path) -> dict:
    (tmp_path / "a.cif").write_text("data_a\n")
    return {
        "name": "good",
        "structures": [{"kind": "files", "paths": [str(tmp_path)]}],
        "absorbers": ["Ti"],
        "training": {"n_folds": 3},
    }


def test_a_good_campaign_passes_and_no_structure_is_read(good):
    check_campaign(CampaignConfig.from_dict(good))  # the CIF has no atom in it


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"absorbers": ["Xx"]}, "'Xx' is no element"),
        ({"edge": "L9"}, "campaign.edge is 'L9'"),
        ({"profile": "quick"}, "no profile 'quick'"),
        ({"engine": "fef"}, "no engine 'fef'"),
        ({"settings": {"fms_radius": 4.0}}, "unknown feff setting"),
        ({"settings": {"fms_radius_angstrom": -4.0}}, "fms_radius_angstrom"),
        ({"structures": [{"kind": "files", "paths": ["/nowhere/at/all"]}]}, "/nowhere/at/all"),
        ({"imports": [{"kind": "omnixas", "pfad": "x"}]}, "pfad"),
        # Without the check these two are found after everything has been computed.
        ({"processing": {"duplicate_treshold": 0.1}}, "duplicate_treshold"),
        ({"training": {"n_fold": 3}}, "n_fold"),
    ],
)
def test_what_would_stop_it_later_is_refused_now(good, wrong, words):
    with pytest.raises(XasHpcError, match=words) as told:
        check_campaign(CampaignConfig.from_dict({**good, **wrong}))
    assert isinstance(told.value, ConfigError)
