from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from invoke_core.local.errors import LocalServerError
from invoke_core.local.host_json import QueueSettings, read_queue_settings, read_route_prefix

_ROOT = Path(__file__).parents[2]


def _read(folder: Path, queues: object) -> QueueSettings:
    path = folder / "host.json"
    path.write_text(json.dumps({"version": "2.0", "extensions": {"queues": queues}}))
    return read_queue_settings(path)


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ('{"version": "2.0"}', "api"),
        ('{"extensions": {"http": {"routePrefix": ""}}}', ""),
        ('{"extensions": {"http": {"routePrefix": "/v1/"}}}', "v1"),
        ('\ufeff{"extensions": {"http": {}}}', "api"),
    ],
)
def test_the_route_prefix_is_read_from_host_json(tmp_path: Path, text: str, prefix: str) -> None:
    (tmp_path / "host.json").write_text(text, "utf-8")

    assert read_route_prefix(tmp_path / "host.json") == prefix


def test_what_is_not_said_of_queues_is_the_hosts_default(tmp_path: Path) -> None:
    assert _read(tmp_path, {}) == QueueSettings(
        batch_size=16,
        new_batch_threshold=8,
        max_dequeue_count=5,
        visibility_timeout=timedelta(),
        max_polling_interval=timedelta(minutes=1),
    )
    assert _read(tmp_path, {"batchSize": 7}).new_batch_threshold == 3


def test_our_own_host_json_says_how_alarms_are_taken() -> None:
    assert read_queue_settings(_ROOT / "host.json") == QueueSettings(
        batch_size=16,
        new_batch_threshold=16,
        max_dequeue_count=20,
        visibility_timeout=timedelta(seconds=30),
        max_polling_interval=timedelta(seconds=2),
    )


@pytest.mark.parametrize(
    ("name", "value", "takes"),
    [
        ("batchSize", 0, "a whole number from 1 to 32"),
        ("batchSize", 33, "a whole number from 1 to 32"),
        ("batchSize", "16", "a whole number from 1 to 32"),
        ("batchSize", True, "a whole number from 1 to 32"),
        ("newBatchThreshold", -1, "a whole number from 0 up"),
        ("maxDequeueCount", 0, "a whole number from 1 up"),
        ("maxDequeueCount", None, "a whole number from 1 up"),
        ("visibilityTimeout", 30, "a period as in 00:00:30"),
        ("visibilityTimeout", "30 s", "a period as in 00:00:30"),
        ("visibilityTimeout", "00:00:60", "a period as in 00:00:30"),
        ("visibilityTimeout", "7.00:00:01", "a period as in 00:00:30, from 0:00:00 to 7 days"),
        ("maxPollingInterval", "00:00:00", "a period as in 00:00:30, from 0:00:00.1"),
        ("messageEncoding", "none", "base64"),
        ("messageEncoding", 64, "base64"),
    ],
)
def test_a_value_that_cannot_be_used_keeps_the_server_from_starting(
    tmp_path: Path, name: str, value: object, takes: str
) -> None:
    with pytest.raises(LocalServerError) as caught:
        _read(tmp_path, {name: value})

    assert caught.value.message.startswith(f"In host.json, the {name} of the queues takes {takes}")


def test_an_extension_that_is_no_object_keeps_the_server_from_starting(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match="the extension queues has to be an object"):
        _read(tmp_path, [])
