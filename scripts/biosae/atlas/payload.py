"""The container of the atlas's data: JSON and arrays, compressed, as base64 in a classic script.

A page opened from a disk may not fetch, but it may load scripts, so each file of data is one call,
``atlas("<name>", "<base64>")``. The base64 is of gzip of

    uint32 little-endian H | H bytes of JSON (UTF-8, padded with spaces) | arrays, each aligned to 8 bytes

and an array stands in the JSON as ``{"at": offset, "type": "f4", "shape": [n, 4]}``. The same content gives
the same bytes for one version of zlib (``zlib.ZLIB_RUNTIME_VERSION``): another may compress otherwise.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
import zlib

import numpy as np

from biosae.errors import ContractError

TYPES = {"u1": np.uint8, "i1": np.int8, "u2": np.uint16, "i2": np.int16, "u4": np.uint32, "i4": np.int32}
TYPES |= {"f4": np.float32, "f8": np.float64}
LEVEL = 9  # of zlib: a page is compressed once and read often
_ALIGNED = 8
_GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"  # no name, no time, no operating system
_SCRIPT = re.compile(r'atlas\("([a-z_0-9]+)","([A-Za-z0-9+/=]*)"\);\n')
_REFERENCE = {"at", "type", "shape"}


class Arrays:
    """The binary part of a payload, filled array by array."""

    def __init__(self) -> None:
        self._groups: dict[str, list[tuple[dict, bytes]]] = {}

    def add(self, values: np.ndarray, kind: str, group: str = "") -> dict:
        """Append an array and return its reference for the JSON, whose offset ``bytes`` fills in.

        Args:
            values: of any shape; must be exact in ``kind`` where that is a whole number.
            kind: one of ``TYPES``.
            group: arrays of one group follow each other: bytes that are alike compress better together.

        Raises:
            ContractError: a value does not fit the type.
        """
        values = np.asarray(values)
        with np.errstate(invalid="ignore", over="ignore"):
            stored = np.ascontiguousarray(values, dtype=np.dtype(TYPES[kind]).newbyteorder("<"))
        if kind[0] in "iu" and not np.array_equal(stored, values):
            wrong = values[stored != values]
            raise ContractError(f"Values do not fit the type {kind} of the atlas", got=wrong[:3].tolist())
        reference = {"at": 0, "type": kind, "shape": list(values.shape)}
        data = stored.tobytes() + b"\0" * (-stored.nbytes % _ALIGNED)
        self._groups.setdefault(group, []).append((reference, data))
        return reference

    def bytes(self) -> bytes:
        """All of it; every reference then says where its array is."""
        parts, size = [], 0
        for group in self._groups.values():
            for reference, data in group:
                reference["at"] = size
                parts.append(data)
                size += len(data)
        return b"".join(parts)


def encode(content: dict, arrays: Arrays) -> str:
    """Base64 of a payload.

    Args:
        content: JSON with the references that ``arrays`` gave; ``None`` where a value is missing.

    Raises:
        ContractError: a number is not finite, or a value is no JSON.
    """
    binary = arrays.bytes()  # first: it completes the references
    try:
        head = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise ContractError(
            "Content of the atlas is no JSON", got=error, where=content.get("name")
        ) from error
    head += b" " * (-(4 + len(head)) % _ALIGNED)
    return base64.b64encode(packed(struct.pack("<I", len(head)) + head + binary)).decode()


def packed(data: bytes) -> bytes:
    """gzip whose header says neither when nor where it was made."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    tail = struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)
    return _GZIP_HEAD + packer.compress(data) + packer.flush() + tail


def script(name: str, text: str) -> str:
    """The file that hands a payload (base64) to the page."""
    return f'atlas("{name}","{text}");\n'


def short_hash(text: str) -> str:
    """First 16 hexadecimal digits of the sha256 of a payload's base64."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def decode(text: str) -> dict:
    """The content of a file that ``script`` wrote, with arrays in the place of references.

    Raises:
        ContractError: the file is cut, altered or no payload.
    """
    match = _SCRIPT.fullmatch(text)
    try:
        if match is None:
            raise ValueError("no call of atlas()")
        raw = zlib.decompress(base64.b64decode(match[2], validate=True), wbits=16 + zlib.MAX_WBITS)
        (size,) = struct.unpack_from("<I", raw)
        content = json.loads(raw[4 : 4 + size])
    except (ValueError, struct.error, zlib.error) as error:
        raise ContractError("A file of the atlas is damaged", got=error, where=text[:40]) from error
    return _resolved(content, memoryview(raw)[4 + size :])


def _resolved(value: object, binary: memoryview) -> object:
    if isinstance(value, list):
        return [_resolved(item, binary) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == _REFERENCE:
        kind = np.dtype(TYPES[value["type"]]).newbyteorder("<")
        count = int(np.prod(value["shape"], dtype=np.int64))
        return np.frombuffer(binary, kind, count, value["at"]).reshape(value["shape"])
    return {key: _resolved(item, binary) for key, item in value.items()}
