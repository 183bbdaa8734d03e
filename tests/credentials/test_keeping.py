"""How long tokens and failures are kept, by a clock the tests move.

Source: HTTP contract, section 7 (``auth.scheme``).
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

import pytest

from invoke_core.adapters.budget import ByteBudget
from invoke_core.adapters.credentials import TokenCredentials
from invoke_core.adapters.http import HttpSender
from invoke_core.connections import Allow, ClientCredentialsAuth, Connection, ConnectionKind
from invoke_core.errors import SendError
from invoke_core.model import Secret
from tests.credentials.conftest import refusing

if TYPE_CHECKING:
    from tests.api.target import Received, Reply
    from tests.credentials.conftest import Issuer


class Keeping:
    """The tokens of one connection, and the clock by which they age."""

    def __init__(self, issuer: Issuer) -> None:
        self.now = 1000.0
        sender = HttpSender(budget=ByteBudget(1 << 24))
        self.credentials = TokenCredentials(sender=sender, monotonic_s=lambda: self.now)
        self.connection = Connection(
            name="demo",
            kind=ConnectionKind.GENERIC,
            url="https://api.example.com",
            auth=ClientCredentialsAuth(
                token_url=issuer.url, client_id="invoke", client_secret=Secret("cl1ent/s3cret")
            ),
            allow=Allow(loopback=True),
        )

    def token(self, *, timeout_s: float = 10, refused: str = "") -> str:
        secret = self.credentials.token(
            self.connection, timeout_s=timeout_s, refused=Secret(refused) if refused else None
        )
        return secret.reveal()

    def known(self) -> list[str]:
        return [secret.reveal() for secret in self.credentials.known(self.connection)]


@pytest.fixture
def keeping(issuer: Issuer) -> Keeping:
    return Keeping(issuer)


@pytest.mark.parametrize(("life_s", "renewed_after_s"), [(3600, 3300), (600, 300), (100, 50)])
def test_a_token_is_renewed_five_minutes_or_half_its_life_before_its_end(
    keeping: Keeping, issuer: Issuer, life_s: int, renewed_after_s: int
) -> None:
    issuer.life_s = life_s
    first = keeping.token()

    keeping.now += renewed_after_s - 1
    assert keeping.token() == first
    keeping.now += 1
    second = keeping.token()

    assert [first, second] == issuer.issued


def test_a_token_that_claims_to_live_for_years_is_renewed_within_a_day(
    keeping: Keeping, issuer: Issuer
) -> None:
    issuer.life_s = 10**9
    keeping.token()

    keeping.now += 24 * 3600
    keeping.token()

    assert len(issuer.issued) == 2


def test_a_usable_token_outlives_a_failing_issuer_which_is_asked_now_and_then(
    keeping: Keeping, issuer: Issuer
) -> None:
    first = keeping.token()
    issuer.refuse = refusing(503, "temporarily_unavailable")

    keeping.now += 3400
    assert [keeping.token() for _ in range(3)] == [first] * 3
    assert len(issuer.asked) == 2
    keeping.now += 31
    assert keeping.token() == first
    assert len(issuer.asked) == 3


def test_a_token_is_never_given_past_its_end(keeping: Keeping, issuer: Issuer) -> None:
    keeping.token()
    issuer.refuse = refusing(503, "temporarily_unavailable")

    keeping.now += 3600
    with pytest.raises(SendError) as caught:
        keeping.token()

    assert (caught.value.code, caught.value.effect) == ("credentialFailed", "none")


def test_a_failure_is_remembered_for_a_second(keeping: Keeping, issuer: Issuer) -> None:
    issuer.refuse = refusing(401, "invalid_client")
    for _ in range(3):
        with pytest.raises(SendError, match="invalid_client"):
            keeping.token()
    assert len(issuer.asked) == 1
    issuer.refuse = lambda _: None

    keeping.now += 1

    assert keeping.token() == issuer.issued[0]


def test_while_one_call_renews_others_use_the_token_at_hand(
    keeping: Keeping, issuer: Issuer
) -> None:
    first = keeping.token()
    keeping.now += 3400
    asked, go = Event(), Event()

    def held(_: Received) -> Reply | None:
        asked.set()
        go.wait(5)
        return None

    issuer.refuse = held
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(keeping.token)
        assert asked.wait(5)
        assert keeping.token() == first
        go.set()
        assert renewing.result() != first


def test_whoever_waits_for_anothers_fetch_waits_no_longer_than_his_own_time(
    keeping: Keeping, issuer: Issuer
) -> None:
    asked, go = Event(), Event()

    def held(_: Received) -> Reply | None:
        asked.set()
        go.wait(5)
        return None

    issuer.refuse = held
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(keeping.token)
        assert asked.wait(5)
        started_at = time.monotonic()
        with pytest.raises(SendError, match=r"still fetching it after 0\.2 s"):
            keeping.token(timeout_s=0.2)
        assert time.monotonic() - started_at < 2
        go.set()
        fetching.result()


def test_a_call_with_little_time_fails_for_itself_only(keeping: Keeping, issuer: Issuer) -> None:
    def slow(_: Received) -> Reply | None:
        time.sleep(0.5)
        return None

    issuer.refuse = slow
    with pytest.raises(SendError, match=r"took longer than the 0\.2 s"):
        keeping.token(timeout_s=0.2)

    assert keeping.token() == issuer.issued[-1]


def test_a_token_refused_twice_is_left_alone_for_a_minute(keeping: Keeping, issuer: Issuer) -> None:
    first = keeping.token()
    second = keeping.token(refused=first)
    keeping.credentials.note_refused(keeping.connection, Secret(second))

    assert keeping.token(refused=second) == second
    assert keeping.token() == second
    keeping.now += 60
    third = keeping.token(refused=second)

    assert [first, second, third] == issuer.issued


def test_a_token_that_somebody_renewed_already_is_not_renewed_again(
    keeping: Keeping, issuer: Issuer
) -> None:
    first = keeping.token()
    second = keeping.token(refused=first)

    assert keeping.token(refused=first) == second
    assert len(issuer.issued) == 2


def test_the_last_four_tokens_are_known_for_masking(keeping: Keeping, issuer: Issuer) -> None:
    assert keeping.known() == []
    for _ in range(5):
        keeping.token()
        keeping.now += 3400

    assert keeping.known() == issuer.issued[:0:-1]
