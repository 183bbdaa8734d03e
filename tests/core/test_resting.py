"""A step that waits is read again exactly as it was."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_core.adapters.sealing import StateSeal
from invoke_core.documents import INPUT_DEPTH_LIMIT, JsonNumber, JsonValue, PlainText, parse_input
from invoke_core.resting import RestingStep, decode_step, encode_step
from invoke_core.state_keys import state_key_of
from invoke_core.web.yaml_documents import read_yaml

TEXTS = st.text(
    st.characters(exclude_categories=[]) | st.characters(categories=["Cs"]), max_size=12
)
SCALARS: st.SearchStrategy[JsonValue] = st.one_of(
    st.none(),
    st.booleans(),
    TEXTS,
    TEXTS.map(PlainText),
    st.from_regex(
        r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,9})?([eE][+-]?[0-9]{1,4})?", fullmatch=True
    ).map(JsonNumber),
    st.integers(),
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=25,
)
STEPS = st.builds(
    RestingStep, document=DOCUMENTS, caller=TEXTS, trace=st.dictionaries(TEXTS, TEXTS, max_size=2)
)


def typed(value: object) -> object:
    """Return a value with the type of all that is in it, and members in order."""
    if isinstance(value, dict):
        return dict, [(type(name), name, typed(inner)) for name, inner in value.items()]
    if isinstance(value, list):
        return list, [typed(inner) for inner in value]
    return type(value), value


def again(document: JsonValue) -> JsonValue:
    """Return what is read of a document that was written."""
    step = RestingStep(document=document, caller="local", trace={})
    return decode_step(encode_step(step)).document


@given(STEPS)
def test_a_step_comes_back_with_every_type_at_every_level(step: RestingStep) -> None:
    read = decode_step(encode_step(step))

    assert read == step
    assert typed(read.document) == typed(step.document)
    assert (read.caller, read.trace) == (step.caller, step.trace)


@pytest.mark.parametrize(
    "document",
    [
        "t",
        "p",
        "n1",
        "",
        PlainText(""),
        PlainText("null"),
        JsonNumber("1e999"),
        JsonNumber("-0.0"),
        JsonNumber("1.10"),
        JsonNumber("7" * 5000),
        True,
        False,
        None,
        1,
        [],
        {},
        {"": {"": [{}]}},
        {"b": 1, "a": 2, "B": 3},
        "\ud800",
        "\udc00\ud800",
        "\ud83d\ude00\ud83d",
        "😀",
        "\x00\x1f\x7f\u2028\ufeff\uffff",
        [True, 1, "1", PlainText("1"), JsonNumber("1"), "true", PlainText("true")],
    ],
    ids=lambda document: f"{type(document).__name__} {ascii(document)[:40]}",
)
def test_each_edge_comes_back(document: JsonValue) -> None:
    assert typed(again(document)) == typed(document)


@pytest.mark.parametrize("shape", ["list", "object", "both"])
def test_the_deepest_document_there_may_be_comes_back(shape: str) -> None:
    opening, closing = {
        "list": ("[", "]"),
        "object": ('{"a":', "}"),
        "both": ('[{"a":', "}]"),
    }[shape]
    levels = INPUT_DEPTH_LIMIT // (2 if shape == "both" else 1)
    document = parse_input(opening * levels + "1" + closing * levels)

    assert typed(again(document)) == typed(document)


def test_a_document_in_yaml_keeps_what_was_written_without_quotes() -> None:
    document = read_yaml("inputs:\n  body:\n    a: 1\n    b: '1'\n    c: null\n    d: ~\n")

    read = again(document)

    assert typed(read) == typed(document)
    assert "PlainText" in str(typed(read))


def test_writing_a_step_changes_nothing_in_it() -> None:
    inner: list[JsonValue] = [JsonNumber("1"), PlainText("a")]
    document: JsonValue = {"a": inner, "b": inner}
    before = typed(document)

    encode_step(RestingStep(document=document, caller="local", trace={}))

    assert typed(document) == before


def test_what_is_written_has_a_schema_number() -> None:
    row = json.loads(encode_step(RestingStep(document=None, caller="local", trace={})))

    assert row["schema"] == 1


def test_a_step_prints_nothing_of_itself() -> None:
    step = RestingStep(document="swordfish", caller="marlin", trace={"tracestate": "tuna"})

    assert not any(word in f"{step} {step!r}" for word in ("swordfish", "marlin", "tuna"))


@given(STEPS)
def test_a_step_comes_back_through_its_seal(step: RestingStep) -> None:
    seal = StateSeal([state_key_of(b"\x01" * 32)])

    sealed = seal.seal(encode_step(step), plan_id="plan")

    assert decode_step(seal.unseal(sealed, plan_id="plan")) == step
