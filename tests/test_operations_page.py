"""What the page on operations shows of the log, of settings and of costs is so."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Final

import pytest

from invoke_core.model import CompletionEvent, ReasonCode, Result
from invoke_core.telemetry import Told, tell
from tests.core.told import one_of_each
from tests.infra.template import INFRA, parameters_of

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
DEPLOY: Final = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
DEFINITION, *QUERIES = re.findall(r"^```kusto\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)

# Kusto's extract and Python's re read this alike, and neither lets a dot be a line's end.
FACTS: Final = re.compile(re.findall(r"extract\(@'([^']+)', 1, Message\)", DEFINITION)[0])
MARK: Final = re.findall(r"Message contains '([^']+)'", DEFINITION)[0]


def rows(title: str) -> list[list[str]]:
    """Return the cells of the table below a header whose first cell is this."""
    table = PAGE.partition(f"\n| {title} |")[2].partition("\n\n")[0]
    return [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in table.splitlines()[2:]
        if row.startswith("|")
    ]


def names(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def test_every_line_is_in_the_table_with_its_level_and_facts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    told = {}
    for event, line in one_of_each().items():
        tell(line)
        told[event.value] = (caplog.records[-1].levelno, [*line.facts])

    levels = {"information": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
    listed = {
        names(event)[0]: (levels[level], names(facts))
        for event, level, _, facts in rows("event | level | when | facts")
    }
    assert {event: (level, sorted(facts)) for event, (level, facts) in told.items()} == {
        event: (level, sorted(facts)) for event, (level, facts) in listed.items()
    }


def test_the_line_it_shows_is_one_that_is_written() -> None:
    assert f"\n{one_of_each()[Told.ENDED].text}\n" in PAGE


@pytest.mark.parametrize("event", Told)
def test_the_queries_find_the_facts_in_a_line(event: Told) -> None:
    text = one_of_each()[event].text
    with_traceback = f'{text}\nTraceback (most recent call last):\n  {{"event":"no"}}\nError: {{}}'

    for message in (text, with_traceback):
        assert MARK in message
        found = FACTS.search(message)
        assert found
        facts = json.loads(found[1])
        assert facts == {**json.loads(text[text.index("{") :])}
        assert facts["event"] == event.value


def events_of(query: str) -> set[str]:
    """Return the events a query asks for; all of them where it names none."""
    asked = re.findall(r"event (?:==|in) (\"\w+\"|\([^)]*\))", query)
    return set(re.findall(r'"(\w+)"', asked[0])) if asked else {event.value for event in Told}


@pytest.mark.parametrize("query", QUERIES)
def test_every_fact_a_query_names_is_one_of_the_events_it_asks_for(query: str) -> None:
    lines = {event.value: set(line.facts) for event, line in one_of_each().items()}
    events = events_of(query)
    assert events <= set(lines)

    known = set().union(*(lines[event] for event in events))
    assert set(re.findall(r"facts\.(\w+)", query)) <= known


def test_every_event_is_asked_for_by_a_query() -> None:
    named = [query for query in QUERIES if "event ==" in query or "event in" in query]

    assert set().union(*map(events_of, named)) == {event.value for event in Told}


def test_queries_over_lines_count_what_sampling_left_out() -> None:
    counting = [query for query in QUERIES if "summarize" in query and "InvokeLines" in query]

    assert [query for query in counting if "count()" in query] == []


def test_values_a_query_compares_with_are_those_that_can_be_logged() -> None:
    compared = re.findall(r'facts\.(?:reason|result)\) (?:==|in) \(?("[^)]+")', PAGE)
    values = {value for texts in compared for value in re.findall(r'"(\w+)"', texts)}

    assert len(values) >= 5
    assert values <= {*ReasonCode, *Result}
    assert set(re.findall(r'completionEvent\) == "(\w+)"', PAGE)) == {*CompletionEvent}


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", PAGE)
    assert len(links) > 10

    for target, anchor in links:
        text = (ROOT / "docs" / target).read_text("utf-8") if target else PAGE
        titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
        assert not anchor or anchor in anchors, (target, anchor)


def test_the_limits_it_tells_are_those_of_the_templates() -> None:
    own = (INFRA / "app" / "function.bicep").read_text("utf-8")
    settings = dict(re.findall(r"^    ([A-Z_]+): '(\d+)'$", own, re.MULTILINE))
    parameters = {
        name: parameter.rpartition(" = ")[2]
        for name, parameter in parameters_of(INFRA / "main.bicep").items()
    }
    mebibytes = {
        name: f"{int(value) // 2**20} MiB" for name, value in settings.items() if "BYTES" in name
    }
    defaults = {**parameters, **settings, **mebibytes}

    told = {
        name: value.strip()
        for cell, values, _ in rows("what | default | what happens at it")
        for name, value in zip(names(cell), values.split(","), strict=False)
        if name in defaults
    }
    assert len(told) >= 8
    assert told == {name: defaults[name] for name in told}


FREE_GB_S: Final = 100_000
FREE_RUNS: Final = 250_000
FREE_LOG_GB: Final = 5
IDLE_GB_S: Final = 86_400
IDLE_RUNS: Final = 43_230
IDLE_LOG_GB: Final = 0.13
VOLUMES: Final = (1_000, 100_000, 10_000_000)
GATE_EVALUATIONS: Final = 7

COUNTED: Final = {
    # tests/state/test_costs.py counts 2, 9, and for gates 4, 8 and 9.
    "plain calls": (2, 1),
    "callbacks": (9, 3),
    "gates": (
        4 + 8 * (GATE_EVALUATIONS - 1) + 9 + 2 * (GATE_EVALUATIONS - 1) + 2 * GATE_EVALUATIONS + 1,
        GATE_EVALUATIONS + 2,
    ),
}


def price(pattern: str) -> float:
    found = re.search(pattern, DEPLOY)
    assert found, pattern
    return float(found[1])


def costs(invocations: int, transactions: int, runs: int, sharing: int) -> list[float]:
    """Return what a month costs by execution, executions, transactions, storage and logs."""
    all_runs = invocations * runs
    gb_s = max(0, all_runs * 2 / sharing + IDLE_GB_S - FREE_GB_S)
    log_gb = max(0, all_runs * 3e3 / 1e9 + IDLE_LOG_GB - FREE_LOG_GB)
    return [
        gb_s * price(r"execution \| (0\.\d+) a GB-second"),
        max(0, all_runs + IDLE_RUNS - FREE_RUNS)
        * price(r"executions \| (\d\.\d+) a million")
        / 1e6,
        (invocations * transactions + 43_200) * price(r"(0\.\d+) for 10,000") / 1e4,
        invocations * 10e3 / 1e9 * price(r"table capacity \| (0\.\d+) a GB"),
        log_gb * price(r"about (\d\.\d+) a GB, the first"),
    ]


def test_what_is_counted_for_an_invocation_is_what_the_costs_are_made_of() -> None:
    told = [
        (int(transactions), int(runs))
        for _, transactions, runs in rows("of one invocation | transactions | runs of functions")
    ]

    assert told == [*COUNTED.values()]


@pytest.mark.parametrize("kind", COUNTED)
def test_costs_are_counts_times_prices(kind: str) -> None:
    transactions, runs = COUNTED[kind]
    together = [costs(volume, transactions, runs, 10) for volume in VOLUMES]
    apart = [costs(volume, transactions, runs, 1) for volume in VOLUMES]

    table = {row[0]: row[1:] for row in rows("invocations a month | 1,000 | 100,000 | 10,000,000")}
    assert table[kind] == [
        f"{sum(least):.2f} to {sum(most):.2f}" for least, most in zip(together, apart, strict=True)
    ]
    parts = {row[0]: row[1:] for row in rows(
        "10,000,000 | execution | executions | transactions | kept for 30 days | logs"
    )}  # fmt: skip
    execution, *others = together[-1]
    assert parts[kind] == [
        f"{execution:.2f} to {apart[-1][0]:.2f}", *(f"{other:.2f}" for other in others)
    ]  # fmt: skip


def test_what_is_free_and_idle_is_what_the_page_on_deploying_says() -> None:
    for told in ("100,000 GB-seconds, 250,000 executions", "the first 5 GB free", "86,400 GB-s"):
        assert told in DEPLOY
    assert "| executions | 43,230 |" in DEPLOY
    assert "0.13 GB" in DEPLOY
