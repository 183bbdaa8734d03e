"""Builders of what the tests of the core need again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke_core.connections import (
    Allow,
    Connection,
    ConnectionBook,
    ConnectionKind,
    KnownConnection,
)
from invoke_core.model import Answer, Correlation

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue

CORRELATION = Correlation(
    plan_url="https://invoke.example.com/azdo/default/",
    project_id="project-1",
    hub_name="build",
    plan_id="plan-1",
    job_id="job-1",
    timeline_id="timeline-1",
    task_instance_id="task-1",
)

BOOK = ConnectionBook(
    [
        KnownConnection(
            "generic_demo",
            Connection(
                name="generic_demo", kind=ConnectionKind.GENERIC, url="https://api.example.com/v1"
            ),
        ),
        KnownConnection(
            "Guarded",
            Connection(
                name="Guarded",
                kind=ConnectionKind.GENERIC,
                url="https://api.example.com",
                allow=Allow(given=True),
            ),
        ),
        KnownConnection(
            "my-azure",
            Connection(
                name="my-azure",
                kind=ConnectionKind.AZURE_RESOURCE_MANAGER,
                url="https://management.azure.com",
            ),
        ),
        KnownConnection(
            "my-org",
            Connection(
                name="my-org",
                kind=ConnectionKind.AZURE_DEVOPS,
                url="https://dev.azure.com/my-org",
            ),
        ),
        KnownConnection("broken", None),
    ]
)
"""Connections of every kind, and one whose definition is faulty."""


def step(**inputs: JsonValue) -> dict[str, JsonValue]:
    """Return a step with these inputs, on the connection of the documentation's example."""
    return {"inputs": {"serviceConnection": "generic_demo", **inputs}}


def answer(
    body: bytes | str = b"", *, status: int = 200, headers: tuple[tuple[str, str], ...] = ()
) -> Answer:
    """Return an answer of a target."""
    encoded = body.encode() if isinstance(body, str) else body
    return Answer(status=status, headers=headers, body=encoded, elapsed_ms=12)
