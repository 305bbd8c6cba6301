"""Sessions with a hub: profile, login, calls with time limits, multicalls, uploads."""

from __future__ import annotations

import logging
import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import koji

from buildsys.base import BuildSystemUnavailable
from buildsys.koji import kerberos
from buildsys.koji.errors import describe, last_line, mapped
from mbs.errors import ConfigurationError

#: Calls in one HTTP request. The hub's limit is 4 MB for a request, and a call has about half a KB.
BATCH = 1000


@dataclass(frozen=True)
class Access:
    """Address of a hub and credentials.

    Attributes:
        config: Configuration file of the Koji client.
        profile: Profile in that file.
        user: User name for ``authtype = password``.
        password: Password for ``authtype = password``.
        principal: Kerberos principal; if empty, that of the profile or the environment. Likewise ``keytab``
            and ``ccache``.
        anonymous: Read without a login, whatever the profile says.
        timeout: Seconds for a call, including a second attempt.
        retry_interval: Seconds between the two attempts.
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
    """A hub. Threads and processes may share the object.

    Raises:
        BuildSystemUnavailable: From any method; see ``buildsys.koji.errors``.
        BuildSystemError: From any method.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._local = threading.local()
        self.profile = _read_profile(access)
        self._methods: frozenset[str] | None = None

    def read_only(self, timeout: float = inf) -> Hub:
        """Return the same hub without a login, which suffices to read builds and tags.

        Args:
            timeout: Seconds for a call, if this is less than before; the second attempt follows sooner then.
        """
        old = self._access
        timeout = min(timeout, old.timeout)
        retry_interval = old.retry_interval * timeout / old.timeout
        return Hub(replace(old, anonymous=True, timeout=timeout, retry_interval=retry_interval))

    # -- calls -------------------------------------------------------------------------------------------

    def call(self, method: str, *args: Any, **options: Any) -> Any:
        """Make one call in one round trip."""
        with self._session(method) as session:
            return session.callMethod(method, *args, **options)

    @contextmanager
    def multicall(self, *, strict: bool = True) -> Iterator[Any]:
        """Collect calls and make them together at the end of the block.

        ``calls.getTag(name)`` returns a promise with a ``result``. Each call has its own savepoint on the
        hub.

        Args:
            strict: Raise the first refusal after all calls were made. Otherwise use ``outcome`` for each.
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
        """Return whether the hub has a method; old hubs have fewer. One call per process."""
        if self._methods is None:
            self._methods = frozenset(self.call("system.listMethods"))
        return method in self._methods

    @property
    def user(self) -> dict[str, Any]:
        """The ``id`` and ``name`` of the user that is logged in; empty for an anonymous session."""
        with self._session():
            return dict(self._local.user)

    def upload(self, files: Mapping[str, bytes]) -> str:
        """Upload files into a new folder below ``cli-build`` and return the folder.

        A folder belongs to the user who first uploads to it, so each upload uses a new one.
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
        """Yield this thread's session, logged in, and forget it if the hub does not accept it.

        Args:
            method: Name of the call, for messages.
        """
        with mapped(method):
            try:
                yield self._open()
            except koji.AuthError as error:
                # The session is invalid (the hub's database was restored, or the session was closed there),
                # so the next call logs in again.
                if not isinstance(error, koji.RetryError):
                    self._forget()
                raise

    def _open(self) -> Any:
        # A forked process must not use its parent's connection.
        if getattr(self._local, "session", None) is None or self._local.pid != os.getpid():
            self._forget()
            session = koji.ClientSession(self.profile["server"], self._options())
            _LOGINS[self.profile["authtype"]](self, session)
            anonymous = self.profile["authtype"] == "noauth"
            self._local.session, self._local.pid = session, os.getpid()
            try:
                self._local.user = {} if anonymous else session.getLoggedInUser()
            except BaseException:  # also if the process is stopped meanwhile; it is raised again
                self._forget()
                raise
        return self._local.session

    def _forget(self) -> None:
        """Forget this thread's session without a call.

        Otherwise it would log out when it is deleted: at any time, and after a fork for the parent.
        """
        session, self._local.session = getattr(self._local, "session", None), None
        if session is not None:
            session.setSession(None)

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
        return options | {"user": access.user, "password": access.password}

    def _by_kerberos(self, session: Any) -> None:
        access, profile = self._access, self.profile
        # It logs two tracebacks for each failure, but the error contains the reason.
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
        """Log in by name and password. Processes that only read have neither, so this is no error before."""
        given = {"KOJI_USER": self._access.user, "KOJI_PASSWORD": self._access.password}
        if missing := [option for option, value in given.items() if not value]:
            raise BuildSystemUnavailable(
                f"The Koji profile {self._access.profile!r} logs in by password, but "
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set.",
                code="koji_credentials_missing",
                hint=f"Set {' and '.join(missing)}, or another authtype in {self._access.config}.",
            )
        self._logged_in(session.login)

    def _by_nobody(self, session: Any) -> None:
        """Do nothing: without a login the hub can only be read."""

    def _logged_in(self, login: Callable[..., Any], **arguments: Any) -> None:
        """Log in. A failure is an outage: an operator can correct it, so module builds must not fail."""
        try:
            login(**arguments)
        except (koji.GenericError, koji.PythonImportError) as error:
            reason, hint = describe(error), "Check KOJI_PROFILE, the credentials, and `mbs-manager doctor`."
            if isinstance(error, koji.GSSAPIAuthError):
                reason, hint = kerberos.cause(error, arguments, self.profile["server"])
            raise BuildSystemUnavailable(
                f"The login to {self.profile['server']} by {self.profile['authtype']} failed: {reason}",
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
    """Return the result of a call in a multicall that was not strict.

    Raises:
        BuildSystemError: The hub refused this call.
    """
    with mapped(call.method):
        return call.result


def succeeded(call: Any) -> bool:
    """Return whether a call in a multicall that was not strict succeeded."""
    return isinstance(call._result, list)


def failure(call: Any) -> str:
    """Return why a task failed in one line, given its ``getTaskResult`` in a multicall that was not strict.

    The hub answers a result, a fault, or an error about the call itself.
    """
    if not succeeded(call):
        return last_line(str(call._result.get("faultString", "")))
    result = call.result
    return last_line(
        str(result["faultString"] if isinstance(result, dict) and "faultString" in result else result)
    )


def _read_profile(access: Access) -> dict[str, Any]:
    """Return the profile with an ``authtype`` that this service supports.

    Raises:
        ConfigurationError: There is no such profile, or its ``authtype`` is not supported.
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
    """Return the way to log in if the profile names none, chosen like the koji command does."""
    if access.user:
        return "password"
    return "ssl" if profile["cert"] and Path(profile["cert"]).is_file() else "kerberos"
