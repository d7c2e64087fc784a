# SPDX-License-Identifier: GPL-3.0-or-later
"""First that the detector sees, then that there is nothing to be seen. Tests run in the order in which they are written."""

from __future__ import annotations

import re

from ansible_collections.techsaas.hardened.tests.security.leaks import findings
from ansible_collections.techsaas.hardened.tests.security.leaks.campaign import Campaign
from ansible_collections.techsaas.hardened.tests.security.leaks.findings import listing
from ansible_collections.techsaas.hardened.tests.security.leaks.run import Run

# Looked at together with all other files of the host.
FILES_OF_DOCKER = "host: docker files"


def test_the_detector_finds_what_is_there(campaign: Campaign) -> None:
    campaign.control()
    assert campaign.unseen() == [], listing(campaign.control_findings)


def test_nothing_is_left_where_it_must_not_be(campaign: Campaign, run: Run) -> None:
    assert campaign.trusted, (
        "the detector did not find what the control left, so that it finds nothing means nothing"
    )
    record, found = campaign.carry_out(run)
    output = record.output[-6000:]
    assert run.fails in (None, record.status != 0), output
    assert re.search(run.says, record.output, re.DOTALL), f"not said: {run.says}\n{output}"
    assert found == [], listing(found)


def test_every_sink_was_looked_at(campaign: Campaign) -> None:
    assert [
        sink for sink in findings.SINKS if sink != FILES_OF_DOCKER and not campaign.watch.looked[sink]
    ] == []
