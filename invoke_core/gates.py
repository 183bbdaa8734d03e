"""Gates: a task that is evaluated again until it passes.

Source: HTTP contract, section 3 ("Gate"); agentless protocol, section 8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from invoke_core.steps import LONGEST_TIMEOUT_MINUTES, read_amount, read_members

if TYPE_CHECKING:
    from collections.abc import Mapping

    from invoke_core.steps import FaultList, Given

MOST_EVALUATIONS: Final = 50
"""How many evaluations are kept, the last ones."""

_DEFAULTS: Final = {
    "samplingInterval": 5.0,
    "timeout": 1440.0,
    "stabilizationTime": 0.0,
    "minimumSuccessDuration": 0.0,
}
_LEAST_INTERVAL: Final = 0.01
_LEAST: Final = {"samplingInterval": _LEAST_INTERVAL, "timeout": _LEAST_INTERVAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    """How a gate is evaluated, in seconds.

    Attributes:
        interval_s: From one evaluation to the next.
        timeout_s: For the whole gate.
        stabilization_s: Before the first evaluation.
        success_s: For how long every evaluation has to succeed.
    """

    interval_s: float
    timeout_s: float
    stabilization_s: float
    success_s: float


def read_gate(given: Given, faults: FaultList) -> GateOptions | None:
    """Read the member ``gate`` of a step.

    Args:
        given: An object with minutes; fractions are accepted.
        faults: Receives everything that is wrong.

    Returns:
        The options; None where something is wrong.
    """
    before = len(faults.faults)
    members = read_members(given, "gate", tuple(_DEFAULTS), faults)
    minutes = {
        name: read_amount(
            name,
            members[name],
            faults,
            least=_LEAST.get(name, 0.0),
            most=LONGEST_TIMEOUT_MINUTES,
            unit="minutes",
        )
        if name in members
        else default
        for name, default in _DEFAULTS.items()
    }
    if len(faults.faults) == before and _first_pass_ms(minutes) >= _ms(minutes["timeout"]):
        faults.add(
            given.pointer,
            "The gate can never pass: its timeout ends no later than stabilizationTime and the "
            "evaluations that minimumSuccessDuration takes, one every samplingInterval.",
        )
    if len(faults.faults) > before:
        return None
    return GateOptions(
        interval_s=60 * minutes["samplingInterval"],
        timeout_s=60 * minutes["timeout"],
        stabilization_s=60 * minutes["stabilizationTime"],
        success_s=60 * minutes["minimumSuccessDuration"],
    )


def _first_pass_ms(minutes: Mapping[str, float]) -> int:
    """Return when a gate passes that succeeds from its first evaluation on."""
    interval_ms = _ms(minutes["samplingInterval"])
    further = math.ceil(_ms(minutes["minimumSuccessDuration"]) / interval_ms)
    return _ms(minutes["stabilizationTime"]) + further * interval_ms


def _ms(minutes: float) -> int:
    return round(60_000 * minutes)
