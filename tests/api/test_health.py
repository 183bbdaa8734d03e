from __future__ import annotations

from typing import TYPE_CHECKING

from invoke_core import __version__
from invoke_core.errors import StoreUnavailableError
from invoke_core.health import StoreHealth
from tests.api.conftest import demo_connections, make_client
from tests.azurite import connection_string, free_port, port_of
from tests.stores.middleman import Fault, middleman

if TYPE_CHECKING:
    from pathlib import Path

    from tests.azurite import Azurite


def test_a_working_service_is_healthy(tmp_path: Path) -> None:
    answered = make_client(tmp_path, {}).get("api/health")

    assert answered.status == 200
    assert answered.json == {"status": "ok", "version": __version__, "store": "ok"}


def test_a_faulty_setting_is_named_everywhere_and_its_value_nowhere(tmp_path: Path) -> None:
    client = make_client(tmp_path, {}, MAX_RESPONSE_BYTES="hunter2", PUBLIC_BASE_URL="ftp://x")

    health = client.get("api/health")

    assert (health.status, health.json["code"]) == (503, "misconfigured")
    assert [error["pointer"] for error in health.json["errors"]] == [
        "PUBLIC_BASE_URL",
        "MAX_RESPONSE_BYTES",
    ]
    assert b"hunter2" not in health.body
    assert client.step().status == 503
    assert client.get("api/openapi.json").status == 503


def test_a_store_that_cannot_be_used_is_unhealthy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    client = make_client(tmp_path, {}, InvokeStorage="sqlite:///file/invoke.db")

    answered = client.get("api/health")

    assert (answered.status, answered.json["code"]) == (503, "storeUnavailable")
    assert "InvokeStorage" in answered.json["detail"]
    assert str(tmp_path) not in answered.body.decode()


def test_a_file_that_is_no_database_is_unhealthy(tmp_path: Path) -> None:
    (tmp_path / "invoke.db").write_text("x" * 4096)
    client = make_client(tmp_path, {}, InvokeStorage="sqlite:///invoke.db")

    assert client.get("api/health").status == 503


def test_an_account_whose_table_and_queue_answer_is_healthy(
    tmp_path: Path, azurite_connection: str, azurite_queues: Azurite
) -> None:
    queue_port = azurite_queues.port
    account = connection_string(port_of(azurite_connection), queue_port=queue_port)
    client = make_client(tmp_path, {}, InvokeStorage=account)

    assert client.get("api/health").status == 200


def test_an_account_without_its_queue_is_unhealthy(tmp_path: Path, azurite_connection: str) -> None:
    account = connection_string(port_of(azurite_connection), queue_port=free_port())
    client = make_client(tmp_path, {}, InvokeStorage=account)

    answered = client.get("api/health")

    assert (answered.status, answered.json["code"]) == (503, "storeUnavailable")
    assert "InvokeStorage" in answered.json["detail"]
    assert "its queue" in answered.json["detail"]


def test_an_account_that_grants_the_table_alone_is_unhealthy(
    tmp_path: Path, azurite_connection: str, azurite_queues: Azurite
) -> None:
    """As where a role for queues is missing: the table answers, and the queue refuses."""
    with middleman(azurite_queues.port) as server:
        server.faults.extend([Fault.DENIED] * 9)
        account = connection_string(port_of(azurite_connection), queue_port=server.port)
        client = make_client(tmp_path, {}, InvokeStorage=account)

        answered = client.get("api/health")

    assert answered.status == 503
    assert "its queue: 403" in answered.json["detail"]


def test_one_faulty_connection_leaves_the_others_working(tmp_path: Path) -> None:
    connections = demo_connections("http://127.0.0.1:9") | {
        "broken": {"type": "generic", "url": "${NOT_SET}"}
    }
    client = make_client(tmp_path, connections)

    broken = client.post({"inputs": {"serviceConnection": "Broken"}})
    working = client.step(method="GET")

    assert (broken.status, broken.json["code"]) == (503, "connectionUnavailable")
    assert "'broken'" in broken.json["detail"]
    assert working.json["reason"]["code"] == "connectionFailed"
    assert client.get("api/health").status == 200


def test_the_store_is_looked_at_again_only_after_ten_seconds() -> None:
    class Store:
        looks = 0
        broken = True

        def check(self) -> None:
            self.looks += 1
            if self.broken:
                raise StoreUnavailableError("InvokeStorage", "Locked")

    store = Store()
    now = [100.0]
    health = StoreHealth(store.check, monotonic_s=lambda: now[0])

    assert _fails(health)
    store.broken = False
    now[0] += 9.9
    assert _fails(health)
    now[0] += 0.2
    assert not _fails(health)

    assert store.looks == 2


def _fails(health: StoreHealth) -> bool:
    try:
        health.check()
    except StoreUnavailableError:
        return True
    return False
