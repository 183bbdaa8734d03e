"""Macros: expanded once, as a second reading of the rule says, and masked whatever they bring."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from fuzz.draw import Draw, Target
from invoke_core.controls import without_controls
from invoke_core.documents import dump_json
from invoke_core.variables import Masker, expand

if TYPE_CHECKING:
    from collections.abc import Callable

    Expand = Callable[..., str]

SECRETS: Final = ("hunter2-s3cret", 'it\'s "a" s3cret/ä+ b', "line one\r\nline two")
TOKENS: Final = (
    "$(a)", "$(A)", "$(json:b)", "$(JSON:a)", "$(b)", "$(c)", "$(unknown)", "$($(a))", "$(", ")",
    "$", "(", "json:", "hunter2-", "s3cret", "%68", "%", "\\u0068", "\\", '"', "\x1b[31m", "\0",
    "+", "%2B", "\r\n", *SECRETS,
)  # fmt: skip


def check(data: bytes, *, replace: Expand = expand) -> None:
    """Expand and mask a text, and compare with the rule read a second time."""
    draw = Draw(data)
    values = {name: draw.word(TOKENS) for name in ("a", "b")} | {"c": draw.pick(SECRETS)}
    text = "".join(draw.word(TOKENS) for _ in range(draw.byte() % 5)) + draw.rest()
    unknown: list[str] = []
    expanded = replace(text, values, unknown=unknown.append)
    assert expanded == modelled(text, values)
    longest = max(6 * len(value) for value in values.values())
    assert len(expanded) <= len(text) + text.count("$(") * longest
    masker = Masker(SECRETS)
    shown = masker.show(expanded)
    readings = [shown, without_controls(shown), unquote(shown, errors="surrogateescape")]
    # Where it is not the inside of a JSON text, nobody reads it as one.
    with suppress(ValueError):
        readings.append(str(json.loads(f'"{shown}"', strict=False)))
    for reading in readings:
        assert not any(secret in reading for secret in SECRETS), reading


def modelled(text: str, values: dict[str, str]) -> str:
    """Expand macros by reading one character after the other."""
    done, at = "", 0
    while at < len(text):
        end = text.find(")", at)
        inside = text[at + 2 : end]
        if text[at : at + 2] != "$(" or end < 0 or not inside or set(inside) & set("()$\r\n"):
            done, at = done + text[at], at + 1
            continue
        escaped = inside[:5].lower() == "json:" and len(inside) > 5
        value = values.get((inside[5:] if escaped else inside).lower())
        if value is None:
            done += text[at : end + 1]
        else:
            done += dump_json(value)[1:-1] if escaped else value
        at = end + 1
    return done


TARGET: Final = Target(check, (b"\0\0\0\0\0\0\0$(a)$(json:b)$(c)", b"\0" * 6), TOKENS)
