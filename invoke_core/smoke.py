"""Probes a deployment from outside, for what only the deployment itself can tell.

The front end of the platform, key levels, sign-in rules and routes to targets are not on the
machine where the code is tested. Each probe says in one line what it saw; no line holds a key, a
token or text that the other side chose.

Source: HTTP contract, sections 1, 5, 6 and 8; design.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from invoke_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

BUDGET_S: Final = 150.0
"""No smoke test takes longer; a deployment's first answer may take half a minute."""

CALLBACK_S: Final = 60
"""A target gets so long to complete the task of the callback probe."""

_CONNECT_S: Final = 10.0
_READ_S: Final = 40.0
_ANSWER_BYTES: Final = 1 << 20

_ANY_ID: Final = "0f1c8a52-6a3c-4d0a-8a8e-2f1f6f0c5a11"
_EVENTS: Final = f"{_ANY_ID}/_apis/distributedtask/hubs/build/plans/{_ANY_ID}/events"
_EVENTS_LOCATION: Final = "557624af-b29e-4c20-8ab0-0399d2204f3f"
_WRONG_KEY: Final = "not-the-key"
_WRONG_TOKEN: Final = "Basic Om5vdC10aGUtdG9rZW4="  # noqa: S105  # it is ":not-the-token"

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_WORD: Final = re.compile(r"[A-Za-z0-9.+_-]{1,40}")
_KEY: Final = re.compile(r"[!-~]+")
_REDIRECTS: Final = range(300, 400)


class Outcome(StrEnum):
    """What came of a probe."""

    OK = "ok"
    FAILED = "FAILED"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe saw.

    Attributes:
        name: Of the probe.
        outcome: What came of it.
        seen: One phrase for people.
    """

    name: str
    outcome: Outcome
    seen: str

    def __str__(self) -> str:
        """Return the line to print."""
        return f"{self.outcome:<9}  {self.name:<18}  {self.seen}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is to be probed.

    Attributes:
        url: Where it is, as callers write it.
        key: A host key; None where it asks for none.
        token: For a sign-in that stands before it; None where none does.
        connection: Of a target that completes tasks; None leaves the callback out.
        url_suffix: Appended to that connection's URL.
    """

    url: str
    key: str | None = None
    token: str | None = None
    connection: str | None = None
    url_suffix: str = ""


def smoke_test(
    deployment: Deployment, *, budget_s: float = BUDGET_S, callback_s: int = CALLBACK_S
) -> Iterator[Finding]:
    """Probe a deployment; each finding comes as soon as it is there.

    Args:
        deployment: What is to be probed.
        budget_s: Seconds it may take in all. An answer that drips in does not hold it up.
        callback_s: Whole seconds the target of the callback probe gets, 100 at most.

    Raises:
        ConfigurationError: The URL, the key or the token is none, or they could be read on their
            way.
    """
    url = _checked(deployment)
    findings = SimpleQueue[Finding]()
    # What is still asked when the time is over is left where it is.
    visit = _Visit(deployment, url, callback_s=callback_s)
    Thread(target=_probe_all, args=(visit, findings), daemon=True).start()
    deadline = monotonic() + budget_s
    seen, outcome = f"no answer within {budget_s:g} s", Outcome.FAILED
    for name, _ in _PROBES:
        try:
            finding = findings.get(timeout=max(0.0, deadline - monotonic()))
        except Empty:
            finding = Finding(name, outcome, seen)
            seen, outcome = "the time was over", Outcome.NOT_TRIED
        yield finding


def _checked(deployment: Deployment) -> str:
    url = deployment.url.rstrip("/")
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise ConfigurationError("The URL of a deployment is one such as https://NAME.example.")
    if parts.query or parts.fragment:
        raise ConfigurationError("The URL of a deployment has no query and no fragment.")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ConfigurationError(
            "Without https the key could be read on its way; nothing was sent."
        )
    if deployment.key is not None and not _KEY.fullmatch(deployment.key):
        raise ConfigurationError("The key has a character in it that no function key has.")
    if deployment.token is not None and not _KEY.fullmatch(deployment.token):
        raise ConfigurationError("The token has a character in it that no token has.")
    return url


class _ProbeError(Exception):
    """The probe failed; the message says what was seen."""


class _UnreachableError(_ProbeError):
    """No answer came."""


class _NotTriedError(Exception):
    """The probe cannot be made; the message says why."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        """The body's JSON object; empty where it is none."""
        with suppress(ValueError, RecursionError):
            found = json.loads(self.body)
            if isinstance(found, dict):
                return found
        return {}

    @property
    def shown(self) -> str:
        """What may be told of it: its status, and the code of a problem."""
        code = _word(self.document.get("code"))
        return f"status {self.status}" + (f" ({code})" if code else "")

    @property
    def asks_to_sign_in(self) -> bool:
        """Whether it is an answer of the platform's sign-in, and not of the app."""
        challenge = self.headers.get("WWW-Authenticate", "")
        return self.status in _REDIRECTS or (
            self.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
            and challenge.lower().startswith("bearer")
        )


class _Visit:
    """One smoke test: asks, and remembers whether the other side looks like the service."""

    def __init__(self, deployment: Deployment, url: str, *, callback_s: int) -> None:
        # Imported here: it costs every cold start, and no function needs this module.
        import requests  # noqa: PLC0415

        self.deployment = deployment
        self.url = url
        self.callback_s = callback_s
        self.is_reached = False
        self.is_service = False
        self._requests = requests

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
        key: str | None = None,
        signs_in: bool = False,
        read_s: float = _READ_S,
    ) -> _Answer:
        """Send one request; no redirect is followed, and nothing is tried again.

        Args:
            method: Of the request.
            path: Of the request, with its query.
            headers: Beside those for key and token.
            body: Of the request; chunked where it comes in parts.
            key: The function key to show; None shows none.
            signs_in: Whether the token is shown, where one was given and the other side looks
                like the service.
            read_s: Seconds without a byte after which no answer is expected.

        Raises:
            _NotTriedError: A key would be shown to what does not look like the service.
            _UnreachableError: No answer came.
        """
        shown = {"x-functions-key": key} if key else {}
        if key and not self.is_service:
            raise _NotTriedError("no key is shown to what does not answer as the service does")
        if signs_in and self.deployment.token and self.is_service:
            shown["Authorization"] = f"Bearer {self.deployment.token}"
        errors = self._requests.exceptions
        try:
            with self._requests.request(
                method,
                f"{self.url}{path}",
                headers={**(headers or {}), **shown},
                data=body,
                timeout=(_CONNECT_S, read_s),
                allow_redirects=False,
                # Or the password of ~/.netrc would be sent.
                auth=lambda request: request,
                stream=True,
            ) as answer:
                content = b""
                for part in answer.iter_content(_ANSWER_BYTES):
                    content += part
                    if len(content) >= _ANSWER_BYTES:
                        break
        except errors.SSLError:
            raise _UnreachableError("its certificate is not trusted, or TLS failed") from None
        except errors.Timeout:
            raise _UnreachableError("no answer in time") from None
        except (errors.RequestException, OSError):
            raise _UnreachableError("no connection, or no HTTP") from None
        self.is_reached = True
        return _Answer(answer.status_code, answer.headers, content)

    def sign_in_text(self, answer: _Answer) -> str:
        """Say what an answer of a sign-in means, to a caller that would have signed in."""
        if self.deployment.token is None:
            return f"{answer.shown}: a sign-in stands before it; give --token"
        if not self.is_service:
            return f"{answer.shown}: no token is shown to what does not answer as the service does"
        return f"{answer.shown}: the sign-in does not take the token"


def _word(value: object) -> str:
    """Return a text of the other side where it is one harmless word; else nothing."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _health(visit: _Visit) -> str:
    answer = visit.ask("GET", "/api/health")
    document = answer.document
    version = _word(document.get("version"))
    visit.is_service = bool(version) or document.get("code") in {
        "misconfigured",
        "storeUnavailable",
    }
    if answer.asks_to_sign_in:
        raise _ProbeError(f"{answer.shown}: it wants a sign-in; exclude /api/health from that")
    if answer.status != HTTPStatus.OK or document.get("status") != "ok" or not version:
        raise _ProbeError(f"{answer.shown}, and not what the service says when it is well")
    return f"version {version}, store {_word(document.get('store')) or 'unknown'}"


def _public_address(visit: _Visit) -> str:
    answer = visit.ask("GET", "/api/openapi.json", signs_in=True)
    if answer.asks_to_sign_in:
        raise _ProbeError(visit.sign_in_text(answer))
    servers = answer.document.get("servers")
    try:
        told = str(servers[0]["url"])  # type: ignore[index]  # any other shape is caught
    except (TypeError, LookupError):
        raise _ProbeError(f"{answer.shown}, and no description of the service") from None
    if told.rstrip("/").lower() != visit.url.lower():
        raise _ProbeError("callbacks and links lead to another address; see PUBLIC_BASE_URL")
    return "callbacks and links lead here"


def _without_key(visit: _Visit) -> str:
    if visit.deployment.key is None:
        raise _NotTriedError("no key was given")
    return _refused(visit, visit.ask("GET", "/api/invocations?top=1", signs_in=True))


def _wrong_key(visit: _Visit) -> str:
    if visit.deployment.key is None:
        raise _NotTriedError("no key was given")
    wrong = {"x-functions-key": _WRONG_KEY}
    answer = visit.ask("GET", "/api/invocations?top=1", headers=wrong, signs_in=True)
    return _refused(visit, answer)


def _refused(visit: _Visit, answer: _Answer) -> str:
    if answer.asks_to_sign_in and answer.status not in _REDIRECTS:
        raise _NotTriedError(visit.sign_in_text(answer))
    if answer.status != HTTPStatus.UNAUTHORIZED:
        raise _ProbeError(f"{answer.shown} instead of 401")
    return "status 401"


def _given_key(visit: _Visit) -> str:
    if visit.deployment.key is None:
        raise _NotTriedError("no key was given")
    answer = visit.ask("GET", "/api/invocations?top=1", key=visit.deployment.key, signs_in=True)
    if answer.asks_to_sign_in:
        raise _ProbeError(visit.sign_in_text(answer))
    if answer.status != HTTPStatus.OK or "value" not in answer.document:
        raise _ProbeError(f"{answer.shown} instead of 200 and a list")
    return "status 200"


def _challenge(visit: _Visit) -> str:
    _challenged(visit, f"/azdo/default/{_EVENTS}")
    return "status 401 with Basic, without a token and with a wrong one"


def _doubled_slashes(visit: _Visit) -> str:
    _challenged(visit, f"/azdo/default//{_EVENTS}")
    return "they reach the service"


def _challenged(visit: _Visit, path: str) -> None:
    """Ask for what only a token opens; .NET clients show it only after this challenge."""
    for token in (None, _WRONG_TOKEN):
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = token
        answer = visit.ask("POST", path, headers=headers, body=b"{}")
        if answer.status in _REDIRECTS:
            raise _ProbeError(f"{answer.shown}: a redirect, which turns a POST into a GET")
        if answer.status != HTTPStatus.UNAUTHORIZED:
            raise _ProbeError(f"{answer.shown} instead of 401")
        if not answer.headers.get("WWW-Authenticate", "").startswith("Basic"):
            raise _ProbeError("401 without a WWW-Authenticate that begins with Basic")
        if answer.body:
            raise _ProbeError("401 with a body, which hides it from Python clients")


def _discovery(visit: _Visit) -> str:
    for path in ("/azdo/default/_apis", "/azdo/default//_apis/distributedtask"):
        answer = visit.ask("OPTIONS", path)
        locations = answer.document.get("value")
        found = isinstance(locations, list) and any(
            isinstance(one, dict) and one.get("id") == _EVENTS_LOCATION for one in locations
        )
        if answer.status != HTTPStatus.OK or not found:
            raise _ProbeError(f"{answer.shown} without the locations; is CORS of the platform on?")
    return "OPTIONS reaches the service"


def _sign_in(visit: _Visit) -> str:
    asked = (
        ("GET", "/api/health", None),
        ("POST", f"/azdo/default/{_EVENTS}", b"{}"),
        ("POST", f"/azdo/default//{_EVENTS}", b"{}"),
    )
    for method, path, body in asked:
        answer = visit.ask(method, path, body=body)
        if answer.asks_to_sign_in:
            where = "/api/health" if method == "GET" else "/azdo"
            raise _ProbeError(f"{answer.shown}: exclude {where} from the sign-in")
    if not visit.is_service:
        raise _NotTriedError("what answers is not the service")
    return "callbacks and health need none"


def _chunked_bodies(visit: _Visit) -> str:
    if visit.deployment.key is None:
        raise _NotTriedError("no key was given")
    answer = visit.ask(
        "POST",
        "/api/criteria/evaluate",
        headers={"Content-Type": "application/json"},
        body=iter([b'{"criteria": ', b'"eq(1, 1)", "body": null}']),
        key=visit.deployment.key,
        signs_in=True,
    )
    if answer.asks_to_sign_in:
        raise _ProbeError(visit.sign_in_text(answer))
    if answer.status == HTTPStatus.LENGTH_REQUIRED:
        return "dropped by the platform, and refused with 411, as it should be"
    if answer.status != HTTPStatus.OK or answer.document.get("result") is not True:
        raise _ProbeError(f"{answer.shown} instead of 200 or 411")
    return "delivered"


def _callback(visit: _Visit) -> str:
    deployment = visit.deployment
    if deployment.connection is None:
        raise _NotTriedError("no --connection was given whose target completes tasks")
    step = {
        "displayName": "Smoke test",
        "timeoutInMinutes": 5,
        "inputs": {
            "serviceConnection": deployment.connection,
            "method": "POST",
            "urlSuffix": deployment.url_suffix,
            "waitForCompletion": "true",
        },
    }
    began = monotonic()
    answer = visit.ask(
        "POST",
        "/api/invocations",
        headers={"Content-Type": "application/json", "Prefer": f"wait={visit.callback_s}"},
        body=json.dumps(step).encode(),
        key=deployment.key,
        signs_in=True,
        read_s=visit.callback_s + _READ_S,
    )
    if answer.asks_to_sign_in:
        raise _ProbeError(visit.sign_in_text(answer))
    if answer.status == HTTPStatus.OK:
        return f"the target completed the task after {monotonic() - began:.1f} s"
    if answer.status == HTTPStatus.ACCEPTED:
        _cancel(visit, _word(answer.document.get("id")))
        raise _ProbeError(
            f"the target took the task, and no TaskCompleted came within {visit.callback_s} s"
        )
    reason = answer.document.get("reason")
    code = _word(reason.get("code")) if isinstance(reason, dict) else ""
    raise _ProbeError(f"the task failed: {code}" if code else answer.shown)


def _cancel(visit: _Visit, invocation_id: str) -> None:
    with suppress(_ProbeError):
        visit.ask(
            "POST",
            f"/api/invocations/{invocation_id}/cancel",
            body=b"",
            key=visit.deployment.key,
            signs_in=True,
        )


_PROBES: Final[tuple[tuple[str, Callable[[_Visit], str]], ...]] = (
    ("health", _health),
    ("public address", _public_address),
    ("no key", _without_key),
    ("wrong key", _wrong_key),
    ("given key", _given_key),
    ("challenge", _challenge),
    ("doubled slashes", _doubled_slashes),
    ("discovery", _discovery),
    ("sign-in exclusions", _sign_in),
    ("chunked bodies", _chunked_bodies),
    ("callback", _callback),
)


def _probe_all(visit: _Visit, findings: SimpleQueue[Finding]) -> None:
    is_lost = False
    for name, probe in _PROBES:
        if is_lost:
            findings.put(Finding(name, Outcome.NOT_TRIED, "the deployment cannot be reached"))
            continue
        try:
            finding = Finding(name, Outcome.OK, probe(visit))
        except _NotTriedError as error:
            finding = Finding(name, Outcome.NOT_TRIED, str(error))
        except _ProbeError as error:
            finding = Finding(name, Outcome.FAILED, str(error))
            is_lost = isinstance(error, _UnreachableError) and not visit.is_reached
        except Exception as error:  # noqa: BLE001  # or nobody would learn that this thread ended
            seen = f"the probe itself broke: {type(error).__name__}"
            finding = Finding(name, Outcome.FAILED, seen)
        findings.put(finding)
