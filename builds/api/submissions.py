"""Turn the body of a request into a submission."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builds.api.permissions import acting_for
from builds.services.auth import Identity
from builds.services.submission import SubmissionRequest


def submission_request(user: Identity, values: Mapping[str, Any]) -> SubmissionRequest:
    """Return the submission in a request body, in the name of its owner.

    Args:
        values: As ``SubmissionSerializer`` reads them.

    Raises:
        InvalidInput: The user may not submit in the name of another owner.
    """
    values = {**values, "owner": acting_for(user, values)}
    if values.get("modulemd"):
        # rpkg also sends the address of the checkout that contains the file.
        values.pop("scmurl", None)
    return SubmissionRequest(**values)
