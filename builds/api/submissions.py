"""From the body of a request to what a user asks to be built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builds.api.permissions import acting_for
from builds.services.identity import Identity
from builds.services.submission import SubmissionRequest


def submission_request(user: Identity, values: Mapping[str, Any]) -> SubmissionRequest:
    """What a submission says, in the name of whoever it is made for.

    Args:
        values: As ``SubmissionSerializer`` reads them.

    Raises:
        Forbidden: The user may not act for the one that is named.
    """
    values = {**values, "owner": acting_for(user, values)}
    if values.get("modulemd"):
        # rpkg names the checkout that the file lies in as well: the file is what counts.
        values.pop("scmurl", None)
    return SubmissionRequest(**values)
