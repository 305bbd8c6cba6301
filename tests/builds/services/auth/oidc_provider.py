"""An OpenID provider for tests, with real HTTP, keys and signed tokens."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

AUDIENCE = "mbs"
CLIENT = {"client_id": "mbs-authorizer", "client_secret": "not secret"}
SCOPES = ("openid", "https://id.fedoraproject.org/scope/groups", "mbs/submit")


@functools.cache
def first_key() -> RSAKey:
    """Return a key that is made once, since this takes long."""
    return RSAKey.generate_key(2048, {"kid": "one"})


class Issuer:
    """An OpenID provider that knows users and groups, makes tokens and answers requests.

    Attributes:
        asked: Path -> number of requests.
        status: Status of all answers, if it is not 200.
        person: The user who logs in with a browser or confirms a device; empty: who refuses the login.
        opaque_logins: Whether logins get opaque access tokens.
        seconds: Validity of the access tokens of logins.
        refreshing: Whether logins get refresh tokens.
        rotating: Whether a refresh token can be used once only.
        described: Changes of the description; None removes an entry.
        id_claims: Changes of the claims of ID tokens; None removes a claim.
        devices: Device code -> the answers that come before its token.
        indicators: Whether ``resource`` determines the audience of signed tokens (RFC 8707).
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.keys: list[Any] = [first_key()]
        self.groups: dict[str, list[str]] = {"ann": ["packager"]}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.refresh_tokens: dict[str, str] = {}
        self.asked: Counter[str] = Counter()
        self.status = 200
        self.person = "ann"
        self.opaque_logins = False
        self.seconds = 300
        self.rotating = False
        self.refreshing = True
        self.described: dict[str, Any] = {}
        self.id_claims: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.devices: dict[str, list[str]] = {}
        self.indicators = False
        #: Path -> body that is sent instead of the right one.
        self.bodies: dict[str, bytes] = {}

    def opaque(self, user: str = "ann", *, scopes: tuple[str, ...] = SCOPES, seconds: float = 300) -> str:
        """Return a token that only this provider can read."""
        token = secrets.token_urlsafe(24)
        self.tokens[token] = {
            "active": seconds > 0,
            "username": user,
            "sub": user,
            "scope": " ".join(scopes),
            "exp": int(time.time() + seconds),
        }
        return token

    def signed(self, user: str = "ann", *, key: Any = None, header: Any = None, **claims: Any) -> str:
        """Return a token that can be verified by its signature, without claims that are None."""
        key = key or self.keys[-1]
        now = int(time.time())
        content = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": f"id-of-{user}",
            "preferred_username": user,
            "groups": self.groups.get(user, []),
            "scope": " ".join(SCOPES),
            "iat": now,
            "exp": now + 300,
            **claims,
        }
        algorithm = "ES256" if isinstance(key, ECKey) else "RS256"
        header = {"alg": algorithm, "kid": key.kid, "typ": "at+jwt", **(header or {})}
        token = jwt.encode(header, {name: value for name, value in content.items() if value is not None}, key)
        self.tokens[token] = {"active": True, "username": user, "sub": content["sub"]}
        return token

    def revoke(self, token: str) -> None:
        """Invalidate a token."""
        del self.tokens[token]

    def new_key(self, kid: str) -> None:
        """Sign with another key from now on."""
        self.keys.append(ECKey.generate_key("P-256", {"kid": kid}))

    def secrets_file(self, folder: Path) -> Path:
        """Write a ``client_secrets.json`` as for MBS 3.9.2."""
        path = folder / "client_secrets.json"
        addresses = {"token_introspection_uri": "TokenInfo", "userinfo_uri": "UserInfo"}
        there = {name: f"{self.url}/{where}" for name, where in addresses.items()}
        path.write_text(json.dumps({"web": {**CLIENT, **there}}))
        return path

    def answer(self, path: str, form: dict[str, str], authorization: str) -> tuple[int, Any]:
        """Return status and JSON for a request."""
        self.asked[path] += 1
        if self.status != 200:
            return self.status, {"error": "as the test wants it"}
        match path:
            case "/.well-known/openid-configuration":
                return 200, self.description()
            case "/keys":
                return 200, KeySet(self.keys).as_dict(private=False)
            case "/TokenInfo":
                if (form.get("client_id"), form.get("client_secret")) != tuple(CLIENT.values()):
                    return 401, {"error": "invalid_client"}
                return 200, self.tokens.get(form["token"], {"active": False})
            case "/UserInfo":
                known = self.tokens.get(authorization.removeprefix("Bearer "))
                if known is None or not known.get("active", True):
                    return 401, {"error": "invalid_token"}
                return 200, {"sub": known["sub"], "groups": self.groups.get(known["username"])}
            case "/Authorization":
                return self.authorize(form)
            case "/Token":
                return self.grant(form, authorization)
            case "/Device":
                return 200, self.begin_device()
        return 404, {}

    def description(self) -> dict[str, Any]:
        """Return the description that clients fetch."""
        content = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "userinfo_endpoint": f"{self.url}/UserInfo",
            "authorization_endpoint": f"{self.url}/Authorization",
            "token_endpoint": f"{self.url}/Token",
            "device_authorization_endpoint": f"{self.url}/Device",
            "end_session_endpoint": f"{self.url}/Logout",
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": list(SCOPES),
            **self.described,
        }
        return {name: value for name, value in content.items() if value is not None}

    def authorize(self, form: dict[str, str]) -> tuple[int, Any]:
        """Redirect the browser back, as if ``person`` had logged in."""
        answer = {"state": form["state"], "error": "access_denied"}
        if self.person:
            code = secrets.token_urlsafe(16)
            self.codes[code] = {**form, "user": self.person}
            answer = {"state": form["state"], "code": code}
        return 302, f"{form['redirect_uri']}?{urlencode(answer)}"

    def begin_device(self) -> dict[str, Any]:
        """Start the login of a device; the test confirms it by the answers in ``devices``."""
        code = secrets.token_urlsafe(16)
        self.devices.setdefault(code, [])
        return {
            "device_code": code,
            "user_code": "ABCD-EFGH",
            "verification_uri": f"{self.url}/device",
            "verification_uri_complete": f"{self.url}/device?user_code=ABCD-EFGH",
            "expires_in": 600,
            "interval": 1,
        }

    def grant(self, form: dict[str, str], authorization: str) -> tuple[int, Any]:
        """Return tokens for a code, a refresh token or a device code."""
        bound = {"resource": form.get("resource", "")}
        match form.get("grant_type"):
            case "authorization_code":
                basic = base64.b64encode(":".join(CLIENT.values()).encode()).decode()
                if authorization != f"Basic {basic}":
                    return 401, {"error": "invalid_client"}
                begun = self.codes.pop(form.get("code", ""), None)
                if begun is None or begun["redirect_uri"] != form.get("redirect_uri"):
                    return 400, {"error": "invalid_grant"}
                digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
                if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != begun["code_challenge"]:
                    return 400, {"error": "invalid_grant"}
                return 200, self.tokens_of(begun["user"], {**begun, **bound})
            case "urn:ietf:params:oauth:grant-type:device_code":
                answers = self.devices.get(form.get("device_code", ""))
                if answers is None:
                    return 400, {"error": "invalid_grant"}
                if answers:
                    return 400, {"error": answers.pop(0)}
                return 200, self.tokens_of(self.person, bound)
        user = self.refresh_tokens.get(form.get("refresh_token", ""))
        if user is None:
            return 400, {"error": "invalid_grant"}
        if self.rotating:
            del self.refresh_tokens[form["refresh_token"]]
            return 200, self.tokens_of(user, bound)
        return 200, {**self.tokens_of(user, bound), "refresh_token": form["refresh_token"]}

    def tokens_of(self, user: str, begun: dict[str, str]) -> dict[str, Any]:
        """Return the tokens of a login."""
        now = int(time.time())
        if self.opaque_logins:
            access = self.opaque(user, seconds=self.seconds)
        else:
            bound = {"aud": begun.get("resource")} if self.indicators else {}
            access = self.signed(user, exp=now + self.seconds, **bound)
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": self.seconds}
        if self.refreshing:
            answer["refresh_token"] = secrets.token_urlsafe(16)
            self.refresh_tokens[str(answer["refresh_token"])] = user
        if "nonce" in begun:
            claims = {
                "iss": self.url,
                "aud": begun["client_id"],
                "sub": f"id-of-{user}",
                "nonce": begun["nonce"],
                "iat": now,
                "exp": now + 300,
                **self.id_claims,
            }
            header = {"alg": "RS256", "kid": self.keys[0].kid}
            present = {name: value for name, value in claims.items() if value is not None}
            answer["id_token"] = jwt.encode(header, present, self.keys[0])
        return answer

    def end_logins(self, user: str) -> None:
        """Revoke all tokens of a user."""
        self.refresh_tokens = {token: of for token, of in self.refresh_tokens.items() if of != user}
        for known in self.tokens.values():
            if known["username"] == user:
                known["active"] = False


@contextmanager
def issuer() -> Iterator[Issuer]:
    """Run a provider during the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply({key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            self.reply({key: values[0] for key, values in parse_qs(body).items()})

        def reply(self, form: dict[str, str]) -> None:
            path = urlsplit(self.path).path
            status, content = there.answer(path, form, self.headers.get("Authorization", ""))
            body = there.bodies.get(path) or json.dumps(content).encode()
            self.send_response(status)
            if status == 302 and isinstance(content, str):
                self.send_header("Location", content)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Tests are silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there = Issuer(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
