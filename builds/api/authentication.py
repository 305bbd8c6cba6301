"""How DRF learns who is asking: ``builds.services.identity`` does the work."""

from __future__ import annotations

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from builds.services.identity import Identity, identify
from mbs.errors import MBSError

#: methods that change nothing; they need no login, except in views whose ``private`` is true
SAFE = ("GET", "HEAD", "OPTIONS")


class Login(BaseAuthentication):
    """The user whom the credentials of a request name; for reads nobody looks at credentials."""

    def authenticate(self, request: Request) -> tuple[Identity, None] | None:
        view = request.parser_context.get("view")
        if request.method in SAFE and not getattr(view, "private", False):
            return None
        try:
            identity = identify(request.META, fresh=request.method in getattr(view, "granting", ()))
        except MBSError as error:
            # DRF asks once more for the user while it renders a page, unless it gets an error of its own.
            raise AuthenticationFailed(error.message) from error
        return (identity, None) if identity else None
