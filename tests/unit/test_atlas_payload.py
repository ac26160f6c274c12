"""The container of the atlas's data: every type comes back, and damage is told."""

from __future__ import annotations

import base64
import re
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from biosae.atlas.payload import TYPES, Arrays, decode, encode, script
from biosae.errors import ContractError

NAMES = st.sampled_from(sorted(TYPES))
SHAPES = arrays_of.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
)


@st.composite
def typed_arrays(draw):
    kind = draw(NAMES)
    return kind, draw(arrays_of.arrays(np.dtype(TYPES[kind]), draw(SHAPES)))


@given(st.lists(typed_arrays(), max_size=6), st.dictionaries(st.text(), VALUES, max_size=6))
def test_arrays_of_every_type_and_json_with_nulls_come_back(given_arrays, said):
    arrays = Arrays()
    references = [arrays.add(values, kind, kind[0]) for kind, values in given_arrays]
    found = decode(script("index", encode({"said": said, "arrays": references}, arrays)))
    assert found["said"] == said
    for (kind, values), back in zip(given_arrays, found["arrays"], strict=True):
        assert back.dtype.newbyteorder("=") == np.dtype(TYPES[kind])
        assert back.shape == values.shape
        assert np.array_equal(back, values, equal_nan=kind[0] == "f")


def raw_of(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text), wbits=31)


def test_the_layout_is_that_of_the_document():
    arrays = Arrays()
    reference = arrays.add(np.array([1, 2, 3]), "u2")
    second = arrays.add(np.array([0.5]), "f8")
    text = encode({"a": reference, "b": second}, arrays)
    packed, raw = base64.b64decode(text), raw_of(text)
    assert packed[:10] == b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"  # neither a time nor a name
    size = int.from_bytes(raw[:4], "little")
    assert (4 + size) % 8 == 0
    assert raw[4 : 4 + size].rstrip() == (
        b'{"a":{"at":0,"type":"u2","shape":[3]},"b":{"at":8,"type":"f8","shape":[1]}}'
    )
    assert raw[4 + size :] == b"\1\0\2\0\3\0\0\0" + np.float64(0.5).tobytes()


def test_arrays_of_a_group_follow_each_other():
    arrays = Arrays()
    first, other, second = (
        arrays.add(np.full(8, n), "u1", group) for n, group in ((1, "a"), (2, "b"), (3, "a"))
    )
    assert arrays.bytes() == bytes([1] * 8 + [3] * 8 + [2] * 8)
    assert (first["at"], second["at"], other["at"]) == (0, 8, 16)


@pytest.mark.parametrize(
    ("value", "kind"), [(256, "u1"), (-1, "u2"), (1.5, "i4"), (np.nan, "i2"), (2**31, "i4")]
)
def test_a_value_that_does_not_fit_its_type_is_refused(value, kind):
    with pytest.raises(ContractError, match=f"do not fit the type {kind}"):
        Arrays().add(np.array([value]), kind)


@pytest.mark.parametrize("value", [np.nan, np.inf, object(), np.int64(3)])
def test_what_is_no_json_is_refused(value):
    with pytest.raises(ContractError, match=r"no JSON.*loci_0001"):
        encode({"name": "loci_0001", "x": value}, Arrays())


def test_text_of_any_alphabet_and_markup_stays_text():
    said = {"a": '"\\</script>\u2028<img src=x onerror=alert(1)>', "b": "\U0001f9ec é"}
    file = script("index", encode(said, Arrays()))
    assert re.fullmatch(r'atlas\("index","[A-Za-z0-9+/=]*"\);\n', file)
    assert decode(file) == said


@pytest.mark.parametrize("spoil", [
    lambda t: t[: len(t) // 2],
    lambda t: t.replace('atlas("index"', 'other("index"'),
    lambda t: t[:40] + ("A" if t[40] != "A" else "B") + t[41:],
    lambda t: "",
])  # fmt: skip
def test_a_damaged_file_is_told(spoil):
    arrays = Arrays()
    values = arrays.add(np.random.default_rng(0).integers(0, 255, 900), "u1")
    with pytest.raises(ContractError, match="damaged"):
        decode(spoil(script("index", encode({"values": values}, arrays))))
