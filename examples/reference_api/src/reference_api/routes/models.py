# SPDX-License-Identifier: GPL-3.0-or-later
"""What requests and their parameters may look like."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, StringConstraints

LARGEST_ID = 2**63 - 1

# PostgreSQL stores no NUL; a name is one line.
Line = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
Text = Annotated[str, StringConstraints(max_length=10_000, pattern=r"^[^\x00]*$")]

Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[int, Query(ge=0, le=LARGEST_ID)]
ItemId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
KeyId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
AfterKey = Annotated[str, Query(pattern=r"^([0-9a-f]{16})?$")]


class Strict(BaseModel):
    """Takes the declared types and names, nothing near them."""

    model_config = ConfigDict(extra="forbid", strict=True)
