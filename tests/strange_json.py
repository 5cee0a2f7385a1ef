"""Input that nobody should send: JSON documents with anything in the place of what belongs there, and plain bytes."""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))  # A long run sets more.

_leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "0", "-1", "1e999", "9" * 400, "1.00", "2020-02-30T00:00:00Z", "\x00", "٣", "../x"])
)
_values = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


def documents(*templates: Any) -> st.SearchStrategy[bytes]:
    """Bytes that are one of the templates with some of its parts replaced, any JSON, or no JSON at all."""
    spoiled = st.one_of([_spoiled(template) for template in templates]).map(_written)
    cut = st.tuples(spoiled, st.integers(0, 200)).map(lambda pair: pair[0][: pair[1]])
    return st.one_of(spoiled, spoiled, spoiled, _values.map(_written), cut, st.binary(max_size=200))


def changed(text: str) -> st.SearchStrategy[str]:
    """The text with one of its characters replaced, or cut somewhere."""
    place = st.integers(0, len(text) - 1)
    replaced = st.tuples(place, st.characters()).map(lambda pair: text[: pair[0]] + pair[1] + text[pair[0] + 1 :])
    return replaced | place.map(lambda end: text[:end])


@st.composite
def _spoiled(draw: st.DrawFn, template: Any) -> Any:
    """A copy in which each part is kept nine times of ten, and otherwise is left out or is anything."""
    fate = draw(st.integers(0, 19))
    if fate == 0:
        return draw(_values)
    if isinstance(template, dict):
        kept = {name: draw(_spoiled(value)) for name, value in template.items() if draw(st.integers(0, 19))}
        return {**kept, draw(st.text(max_size=5)): draw(_leaves)} if fate == 1 else kept
    if isinstance(template, list):
        return [draw(_spoiled(value)) for value in template] * draw(st.sampled_from([1, 1, 1, 2]))
    return draw(changed(template)) if fate == 1 and isinstance(template, str) and template else template


def _written(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")
