"""An OpenID provider for tests, with real HTTP, keys and signed tokens."""

from __future__ import annotations

import functools
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
from urllib.parse import parse_qs

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
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.keys: list[Any] = [first_key()]
        self.groups: dict[str, list[str]] = {"ann": ["packager"]}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.refresh_tokens: dict[str, str] = {}
        self.asked: Counter[str] = Counter()
        self.status = 200

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
                return 200, {
                    "issuer": self.url,
                    "jwks_uri": f"{self.url}/keys",
                    "userinfo_endpoint": f"{self.url}/UserInfo",
                }
            case "/keys":
                return 200, KeySet(self.keys).as_dict(private=False)
            case "/TokenInfo":
                if (form.get("client_id"), form.get("client_secret")) != tuple(CLIENT.values()):
                    return 401, {"error": "invalid_client"}
                return 200, self.tokens.get(form["token"], {"active": False})
            case "/UserInfo":
                known = self.tokens.get(authorization.removeprefix("Bearer "))
                if known is None:
                    return 401, {"error": "invalid_token"}
                return 200, {"sub": known["sub"], "groups": self.groups.get(known["username"])}
            case "/Token":
                user = self.refresh_tokens.get(form.get("refresh_token", ""))
                if user is None:
                    return 200, {"error": "invalid_grant"}
                new = {"access_token": self.opaque(user), "token_type": "Bearer", "expires_in": 300}
                return 200, {**new, "refresh_token": form["refresh_token"]}
        return 404, {}


@contextmanager
def issuer() -> Iterator[Issuer]:
    """Run a provider during the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            self.reply({key: values[0] for key, values in parse_qs(body).items()})

        def reply(self, form: dict[str, str]) -> None:
            status, content = there.answer(self.path, form, self.headers.get("Authorization", ""))
            body = json.dumps(content).encode()
            self.send_response(status)
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
