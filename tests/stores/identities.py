"""A made-up identity, for the emulator."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from time import time

from azure.core.credentials import AccessToken


class MadeUpCredential:
    """Hands out a token that the emulator takes: it looks at all of it but the signature."""

    def __init__(self, audience: str) -> None:
        self.scopes: list[str] = []
        self._audience = audience

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        self.scopes += scopes
        now = int(time())
        claims = {
            "aud": self._audience,
            "iss": "https://sts.windows.net/11111111-2222-3333-4444-555555555555/",
            "iat": now - 60,
            "nbf": now - 60,
            "exp": now + 3600,
        }
        parts = [json.dumps(part).encode() for part in ({"alg": "RS256", "typ": "JWT"}, claims)]
        token = ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in [*parts, b"x"])
        return AccessToken(token, now + 3600)
