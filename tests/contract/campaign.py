"""Runs schemathesis over the description of a running service, and counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import schemathesis
from schemathesis.engine import events, from_schema
from schemathesis.hooks import unregister

import tests.contract.checks  # noqa: F401  # registers what schemathesis does not check itself
from tests.contract.steering import Steering

if TYPE_CHECKING:
    from schemathesis import Case, HookContext
    from schemathesis.engine.core import EventStream
    from schemathesis.engine.recorder import ScenarioRecorder

    from tests.contract.service import Service

CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "missing_required_header",
    "nobody_gets_in_without_a_key",
    "no_header_is_undescribed",
    "no_body_is_undescribed",
)


@dataclass(slots=True)
class Report:
    """What was sent, and what came of it.

    Attributes:
        cases: How many calls were answered, by operation and phase.
        statuses: How many answers of each status.
        failures: How to repeat what was not as described, by what was wrong.
        followed: How many reads of what an earlier call had created succeeded.
        broken: What kept the run itself from its end.
    """

    cases: Counter[tuple[str, str]] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)
    followed: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether ids were really followed, and every answer was as described."""
        return self.followed > 0 and not self.failures and not self.broken


def run(service: Service, *, cases: int, seed: int, longest_s: int = 3600) -> Report:
    """Send at least so many calls and hold every answer against the description.

    Where ``longest_s`` is over first, there were fewer.
    """
    schema = schemathesis.openapi.from_url(
        f"{service.url}/api/openapi.json", config=_config(cases, seed, longest_s)
    )
    steering = Steering(service, seed)

    def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
        del context, kwargs
        steering.steer(case)

    schemathesis.hook(before_call)
    report = Report()
    stream = from_schema(schema).execute()
    try:
        _follow(stream, report, cases)
    finally:
        unregister(before_call)
    return report


def _follow(stream: EventStream, report: Report, cases: int) -> None:
    """Count what happens, and stop once there is enough of it."""
    for event in stream:
        if isinstance(event, events.ScenarioFinished):
            _count(report, event.phase.value, event.recorder)
            if report.cases.total() >= cases and event.phase.value == "stateful":
                stream.stop()
        elif isinstance(event, events.NonFatalError):
            report.broken.append(f"{event.label}: {event.info.format()}")
        elif isinstance(event, events.FatalError):
            report.broken.append(repr(event.exception))


def _config(cases: int, seed: int, longest_s: int) -> schemathesis.Config:
    names = {name: {"enabled": True} for name in CHECKS}
    return schemathesis.Config.from_dict(
        {
            "seed": seed,
            "max-time": longest_s,
            "continue-on-failure": True,
            "request-timeout": 60,
            # The key is made up, and a call can be repeated only as it was.
            "output": {"sanitization": {"enabled": False}},
            "checks": {"enabled": False, **names},
            "generation": {"max-examples": max(3, cases // 250), "no-shrink": True},
            "phases": {"coverage": {"enabled": cases >= 5000, "unexpected-methods": []}},
        }
    )


def _count(report: Report, phase: str, recorder: ScenarioRecorder) -> None:
    for case_id, interaction in recorder.interactions.items():
        node = recorder.cases.get(case_id)
        if node is None or interaction.response is None:
            continue
        status = interaction.response.status_code
        report.cases[node.value.operation.label, phase] += 1
        report.statuses[status] += 1
        is_read = node.value.method == "GET" and status in {200, 202}
        if phase == "stateful" and node.parent_id and is_read:
            report.followed += 1
    for checks in recorder.checks.values():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                told = f"{failure.operation}: {failure.title}: {failure.message}"
                report.failures.setdefault(told[:600], check.failure_info.code_sample)
