"""Sessions with a hub: profile, login, calls with bounded patience, multicalls, uploads."""

from __future__ import annotations

import logging
import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import koji

from buildsys.base import BuildSystemUnavailable
from buildsys.koji import kerberos
from buildsys.koji.errors import describe, last_line, mapped
from mbs.errors import ConfigurationError

#: calls in one HTTP request: the hub's bound is 4 MB for a request, and a call takes about half a KB
BATCH = 1000


@dataclass(frozen=True)
class Access:
    """Where the hub is and how to log in there.

    Attributes:
        config: Configuration file of the Koji client, and the profile in it.
        user: And ``password``, for the profile's ``authtype = password``.
        principal: Kerberos; empty ones are those of the profile or of the environment.
        anonymous: Read only, without any login, whatever the profile says.
        timeout: Seconds within which a call must have succeeded or failed; it is tried twice.
        retry_interval: Seconds between the two.
    """

    config: Path
    profile: str
    user: str = ""
    password: str = ""
    principal: str = ""
    keytab: str = ""
    ccache: str = ""
    anonymous: bool = False
    timeout: float = 120
    retry_interval: float = 30


class Hub:
    """A hub, as its methods can be called by several threads and processes.

    Raises:
        BuildSystemUnavailable: From any method, see ``buildsys.koji.errors``.
        BuildSystemError: Likewise.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._local = threading.local()
        self.profile = _read_profile(access)
        self._methods: frozenset[str] | None = None

    def read_only(self) -> Hub:
        """Return the same hub without a login: hubs answer questions about builds and tags to everybody."""
        return Hub(replace(self._access, anonymous=True))

    # -- calls -------------------------------------------------------------------------------------------

    def call(self, method: str, *args: Any, **options: Any) -> Any:
        """One call in one round trip."""
        with self._session(method) as session:
            return session.callMethod(method, *args, **options)

    @contextmanager
    def multicall(self, *, strict: bool = True) -> Iterator[Any]:
        """Calls that are made together when the block ends: ``calls.getTag(name)`` gives a promise with a
        ``result``. Each has a savepoint of its own on the hub.

        Args:
            strict: The first refusal is raised after all calls were made; otherwise ``outcome``
                tells.
        """
        calls = koji.MultiCallSession(None, batch=BATCH)
        yield calls
        made = list(calls._calls)
        if not made:
            return
        with self._session("multiCall") as session:
            calls._session = session
            calls.call_all()
        if strict:
            for call in made:
                outcome(call)

    def has(self, method: str) -> bool:
        """Whether the hub has a method; hubs differ by their age. Asked once per process."""
        if self._methods is None:
            self._methods = frozenset(self.call("system.listMethods"))
        return method in self._methods

    @property
    def user(self) -> dict[str, Any]:
        """The hub's ``id`` and ``name`` of the user that is logged in; empty for nobody."""
        with self._session():
            return dict(self._local.user)

    def upload(self, files: Mapping[str, bytes]) -> str:
        """Upload files into a new folder below ``cli-build``; answers the folder.

        A folder belongs to its first uploader, hence a new one each time.
        """
        folder = f"cli-build/mbs-{secrets.token_hex(12)}"
        with self._session() as session, tempfile.TemporaryDirectory() as place:
            for name, content in files.items():
                path = Path(place) / name
                path.write_bytes(content)
                session.uploadWrapper(str(path), folder, name=name)
        return folder

    # -- sessions ----------------------------------------------------------------------------------------

    @contextmanager
    def _session(self, method: str = "") -> Iterator[Any]:
        """This thread's session, logged in. One that the hub does not know any more is forgotten.

        Args:
            method: What it is asked for, for people.
        """
        with mapped(method):
            try:
                yield self._open()
            except koji.AuthError as error:
                # A refusal that has its reason in the session, not in the call (the hub's database was
                # restored, the session was closed there): the next call logs in again.
                if not isinstance(error, koji.RetryError):
                    self._local.session = None
                raise

    def _open(self) -> Any:
        # A fork must not talk through its parent's connection.
        if getattr(self._local, "session", None) is None or self._local.pid != os.getpid():
            session = koji.ClientSession(self.profile["server"], self._options())
            _LOGINS[self.profile["authtype"]](self, session)
            anonymous = self.profile["authtype"] == "noauth"
            self._local.user = {} if anonymous else session.getLoggedInUser()
            self._local.session, self._local.pid = session, os.getpid()
        return self._local.session

    def _options(self) -> dict[str, Any]:
        access = self._access
        options: dict[str, Any] = koji.grab_session_options(self.profile)
        patience = max(1.0, (access.timeout - access.retry_interval) / 2)
        options |= {
            "timeout": patience,
            "auth_timeout": patience,
            "max_retries": 1,
            "retry_interval": access.retry_interval,
            "anon_retry": True,
            "offline_retry": False,
        }
        if access.user:
            options |= {"user": access.user, "password": access.password}
        return options

    def _by_kerberos(self, session: Any) -> None:
        access, profile = self._access, self.profile
        # It logs two traces for each failure; what went wrong is in the error.
        logging.getLogger("requests_gssapi").setLevel(logging.CRITICAL)
        self._logged_in(
            session.gssapi_login,
            principal=access.principal or profile["principal"],
            keytab=access.keytab or profile["keytab"],
            ccache=access.ccache or None,
        )

    def _by_certificate(self, session: Any) -> None:
        self._logged_in(session.ssl_login, cert=self.profile["cert"], serverca=self.profile["serverca"])

    def _by_password(self, session: Any) -> None:
        self._logged_in(session.login)

    def _by_nobody(self, session: Any) -> None:
        """Without a login the hub can only be read."""

    def _logged_in(self, login: Callable[..., Any], **arguments: Any) -> None:
        """Log in. A failure is an outage: no module build is to fail for what an operator has to mend."""
        try:
            login(**arguments)
        except (koji.GenericError, koji.PythonImportError) as error:
            reason, hint = describe(error), "Check KOJI_PROFILE, the credentials, and `mbs-manager doctor`."
            if isinstance(error, koji.GSSAPIAuthError):
                reason, hint = kerberos.cause(error, arguments, self.profile["server"])
            raise BuildSystemUnavailable(
                f"The login at {self.profile['server']} by {self.profile['authtype']} failed: {reason}",
                code="koji_login_failed",
                hint=hint,
            ) from error


_LOGINS: dict[str, Callable[[Hub, Any], None]] = {
    "kerberos": Hub._by_kerberos,
    "ssl": Hub._by_certificate,
    "password": Hub._by_password,
    "noauth": Hub._by_nobody,
}
_OTHER_NAMES = {"gssapi": "kerberos", None: ""}


def outcome(call: Any) -> Any:
    """The result of a call of a multicall that was not strict.

    Raises:
        BuildSystemError: What the hub answered to this call.
    """
    with mapped(call.method):
        return call.result


def succeeded(call: Any) -> bool:
    """Whether the hub did what a call of a multicall that was not strict asked for."""
    return isinstance(call._result, list)


def failure(call: Any) -> str:
    """Why a task failed, in a line, by ``getTaskResult`` in a multicall that was not strict.

    The hub answers a result, a fault, or an error about asking.
    """
    if not succeeded(call):
        return last_line(str(call._result.get("faultString", "")))
    result = call.result
    return last_line(
        str(result["faultString"] if isinstance(result, dict) and "faultString" in result else result)
    )


def _read_profile(access: Access) -> dict[str, Any]:
    """The profile, with an ``authtype`` that there is a login for.

    Raises:
        ConfigurationError: When there is no such profile or no such way to log in.
    """
    try:
        profile: dict[str, Any] = koji.read_config(access.profile, user_config=str(access.config))
    except koji.ConfigurationError as error:
        raise ConfigurationError(
            f"The Koji profile {access.profile!r} cannot be read from {access.config}: {error}",
            code="koji_profile",
            hint="Set KOJI_CONFIG and KOJI_PROFILE.",
        ) from error
    authtype = "noauth" if access.anonymous else profile["authtype"]
    authtype = _OTHER_NAMES.get(authtype, authtype)
    profile["authtype"] = authtype or _guess(access, profile)
    if profile["authtype"] not in _LOGINS:
        raise ConfigurationError(
            f"The Koji profile {access.profile!r} has authtype = {authtype!r}.",
            code="koji_profile",
            hint=f"Use one of: {', '.join(_LOGINS)}.",
        )
    return profile


def _guess(access: Access, profile: Mapping[str, Any]) -> str:
    """How to log in when the profile does not say: by what there is, as Koji's own command does."""
    if access.user:
        return "password"
    return "ssl" if profile["cert"] and Path(profile["cert"]).is_file() else "kerberos"
