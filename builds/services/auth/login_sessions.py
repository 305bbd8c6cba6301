"""Keep logins at the OpenID provider in sessions, and ask the provider whether they still exist.

A session contains the name of the user and the tokens, encrypted with a key that is derived from
``SECRET_KEY``: a copy of the database gives no access to the provider. There is no row of
``django.contrib.auth`` for the user, so a name at the provider can never be that of an operator's account.

After ``IDENTITY_CACHE_TIME`` at most, or when the access token expires, the provider must confirm a login: by
a new token for the refresh token, or by its answer about the access token. So a login that the provider has
revoked ends after ``IDENTITY_CACHE_TIME`` at most.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict, dataclass
from hashlib import sha256
from threading import Lock

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.core.cache import cache
from django.utils.crypto import salted_hmac
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from builds.services.auth import oidc, web_login
from builds.services.auth.identity import Identity
from builds.services.auth.lookup_cache import BUSY, acquire
from builds.services.auth.methods import web_login_enabled
from builds.services.auth.web_login import Tokens
from mbs.errors import NotAuthenticated, Unavailable

log = logging.getLogger(__name__)

KEY = "provider_login"
#: Seconds before its expiry in which an access token is renewed.
EARLY = 30.0
#: Seconds for which an action waits while another request renews the login.
WAIT = 2.0
#: Seconds for which pages do not ask an unavailable provider again.
PAUSE = 60
#: One request at a time renews the login of a session: providers may accept a refresh token only once.
_LOCKS = tuple(Lock() for _ in range(64))


@dataclass(frozen=True)
class _Login:
    """A login in a session.

    Attributes:
        issuer: The provider that issued the tokens.
        username: Name of the user.
        tokens: The encrypted tokens.
        expires: Time at which the access token expires; None: unknown.
        checked: Time at which the provider confirmed the login.
    """

    issuer: str
    username: str
    tokens: str
    expires: float | None
    checked: float

    def due(self, now: float) -> bool:
        """Return whether the provider has to confirm the login."""
        ending = self.expires is not None and self.expires - EARLY <= now
        return ending or not 0 <= now - self.checked < float(settings.MBS.IDENTITY_CACHE_TIME)


def begin(session: SessionBase, tokens: Tokens, user: Identity) -> None:
    """Replace a session by a new one with a login; an attacker who knows the old session does not get it."""
    session.flush()
    _store(session, tokens, user.username)


def end(session: SessionBase) -> None:
    """End the session with everything in it."""
    session.flush()


def username(session: SessionBase) -> str:
    """Return the name of the user for the header of a page; empty if there is no login.

    A login whose last confirmation is too old is confirmed first. If the provider is unavailable, the stored
    name is returned, since a name permits nothing.
    """
    login = _read(session)
    if login is None:
        return ""
    paused = f"provider-login-paused:{settings.MBS.OIDC_ISSUER}"
    if not login.due(time.time()) or cache.get(paused):
        return login.username
    try:
        user = identity(session, wait=0)
    except Unavailable as error:
        if error.code != BUSY:
            cache.set(paused, True, PAUSE)
        return login.username
    return user.username if user else ""


def identity(session: SessionBase, *, wait: float = WAIT) -> Identity | None:
    """Return the user of a session for permissions; None if there is no login or the provider has ended it.

    Args:
        session: The session.
        wait: Seconds for which the request waits while another one renews the login.

    Raises:
        Unavailable: The provider must confirm the login, and is unavailable.
    """
    login = _read(session)
    if login is None:
        return None
    if not login.due(time.time()):
        try:
            return _of_session(login, oidc.identify(_decrypted(login).access))
        except NotAuthenticated:
            pass  # the token was revoked or has expired: the refresh token decides
    key = str(session.session_key)
    lock = _LOCKS[int(sha256(key.encode()).hexdigest(), 16) % len(_LOCKS)]
    if not acquire(lock, wait):
        # Requests of many windows must not wait for the provider together.
        raise Unavailable("Your login is being checked.", code=BUSY, hint="Try again.")
    try:
        try:
            return _confirmed(session, login)
        except NotAuthenticated as error:
            log.info("The login of %s has ended: %s", login.username, error.message)
            end(session)
        except UpdateError:
            session.flush()  # a logout in another window
        return None
    finally:
        lock.release()


def _confirmed(session: SessionBase, login: _Login) -> Identity | None:
    """Return the user of a login that the provider confirms now.

    Raises:
        NotAuthenticated: The provider has ended the login.
    """
    newer = _stored(session)
    if newer is None:
        session.flush()
        return None
    if newer.tokens != login.tokens:
        return _adopted(session, newer)
    tokens = _decrypted(login)
    if tokens.refresh:
        try:
            tokens = web_login.renew(tokens.refresh)
        except NotAuthenticated:
            # Another process may have used the refresh token before.
            newer = _stored(session)
            if newer is None or newer.tokens == login.tokens:
                raise
            return _adopted(session, newer)
        # Stored before anything can fail: the former refresh token may be used up.
        _store(session, tokens, login.username, checked=login.checked)
        user = _of_session(login, oidc.identify(tokens.access))
    else:
        user = _of_session(login, oidc.identify(tokens.access, fresh=True))
        tokens = Tokens(tokens.access, "", None if login.expires is None else login.expires - time.time())
    _store(session, tokens, user.username)
    return user


def _adopted(session: SessionBase, login: _Login) -> Identity:
    """Use the login that another request has renewed."""
    session[KEY] = asdict(login)
    return _of_session(login, oidc.identify(_decrypted(login).access))


def _of_session(login: _Login, user: Identity) -> Identity:
    if user.username != login.username:
        raise NotAuthenticated("The provider names another user than at the login.", code="token_invalid")
    return user


def _read(session: SessionBase) -> _Login | None:
    if not web_login_enabled():
        return None
    stored = session.get(KEY)
    try:
        login = _Login(**stored) if stored else None
    except TypeError:
        return None  # an older version wrote it
    if login and login.issuer != settings.MBS.OIDC_ISSUER:
        del session[KEY]  # its tokens must not be sent to the current provider
        return None
    return login


def _stored(session: SessionBase) -> _Login | None:
    """Return the login in the stored session, which another request may have changed."""
    return _read(type(session)(session.session_key))


def _store(session: SessionBase, tokens: Tokens, name: str, *, checked: float | None = None) -> None:
    """Store a login in a session, at once: the middleware does not store the session of a failed request."""
    now = time.time()
    login = _Login(
        str(settings.MBS.OIDC_ISSUER),
        name,
        _encrypted(tokens),
        None if tokens.seconds is None else now + tokens.seconds,
        now if checked is None else checked,
    )
    session[KEY] = asdict(login)
    session.save()


def _key() -> OctKey:
    # The derived key has the 32 bytes of A256GCM.
    return OctKey.import_key(salted_hmac("tokens of provider logins", "", algorithm="sha256").digest())


def _encrypted(tokens: Tokens) -> str:
    text = json.dumps([tokens.access, tokens.refresh, tokens.seconds])
    return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, text, _key())


def _decrypted(login: _Login) -> Tokens:
    try:
        plain = jwe.decrypt_compact(login.tokens, _key()).plaintext
        return Tokens(*json.loads(plain or b""))
    except (JoseError, ValueError, TypeError) as error:
        raise NotAuthenticated("The tokens of the session cannot be read.", code="token_invalid") from error
