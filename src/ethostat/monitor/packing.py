"""Packing: the state of a stream in few bytes of text, exact.

JSON, deflated against text that every state has in common; behind it the wealth, sorted by bytes so that exponents
stand together, and the labels, as many to a byte as fit, each with a code of its own; all in base 85.
"""

from __future__ import annotations

import base64
import json
import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import product
from typing import Any, NoReturn

import numpy as np

from ethostat.errors import InvalidInput

_MOST = 1 << 24
"""Bytes that one state may unfold to, so that a damaged or hostile file cannot fill the memory."""
_MARK = "."
"""Begins what is written now; before, labels stood in the JSON and wealth in hexadecimal, and no dot began it."""
_COMMON = (
    b'{"directed","flagged":[false,true,false,true,true],"bound":0.0,"kind":"lifetime","alpha":0.01,"horizon":null'
    b',"g1","g2","g3","g4","g5","name":"stratified","misaligned":[false,true,false,true,true],"promise":,"baseline'
    b's":{"all":"parts":{"kind":"known","shares":[{"since":{"value":,"low":,"high":,"level":0.95,"unit":"responses'
    b'","n":,"method":"posterior of the time of change"},"window":{"":[]},"reading":[],"back":0.0,"back_since":0,"'
    b'back_window":{},"notify_at":null,"sent":1,"acknowledged":false}"sessions":[{"step":,"epoch":{"number":0,"beg'
    b'an":0,"classifier":null,"version":null},"last_time":"2026-01-01T00:00:00+00:00","silent":false,"snoozed_until":'
    b'0,"voice":{"alerts":0,"queue":[]},"counts":[9.0,1.0,2.0,3.0,4.0],"first":{"":[4,5,6,7,8.0]},"seen":,"warned"'
    b':false,"compared":[""],"compared":[],"watch":{"name":"profile","portfolio":{"misaligned":[false,true,false,t'
    b'rue,true],"usual":0},"baseline":{"kind":"learned","counts":[.0,.0,.0,.0,.0],"freeze_at":null},"freeze_at":50'
    b'00},"promise":{"kind":"run-length","responses":10000.0},"state":{"steps":,"responses":,"wealth":54,"learned"'
    b':[.0,.0,.0,.0,.0]}},"screen":null,"standing":null,"memory":{"labels":"1024 5","strata":[""],"places":[]},"op'
    b'en":null,"exemplars":{"0":[[1,""]],"1":[[],"2":[[],"3":[[],"4":[[]}}'
)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_END = b"\0"


def pack(fields: Mapping[str, Any]) -> str:
    """ASCII text from which `unpack` gives the same plain values, floats to the last bit."""
    bulk = _Bulk()
    text = json.dumps(bulk.lifted(fields), separators=(",", ":"), ensure_ascii=True).encode()
    numbers = np.array(bulk.numbers, dtype="<f8").view(np.uint8).reshape(-1, 8).T.tobytes()
    deflate = zlib.compressobj(9, zdict=_COMMON)
    parts = [deflate.compress(text + _END), deflate.flush(zlib.Z_PARTIAL_FLUSH), deflate.compress(numbers)]
    parts += [deflate.flush(zlib.Z_PARTIAL_FLUSH), deflate.compress(bytes(bulk.codes)), deflate.flush()]
    return _MARK + base64.b85encode(b"".join(parts)).decode()


def unpack(text: str) -> dict[str, Any]:
    """The inverse of `pack`. Raises InvalidInput for what it did not write, or wrote in another version."""
    try:
        if not text.startswith(_MARK):
            return _unpacked_before(text)
        inflate = zlib.decompressobj(zdict=_COMMON)
        whole = inflate.decompress(base64.b85decode(text[len(_MARK) :]), _MOST)
        head, end, rest = whole.partition(_END)
        fields = json.loads(head)
        if not (inflate.eof and end and isinstance(fields, dict)):
            return _refuse()
        bulk = _Bulk.of(fields, rest)
        return dict(bulk.put_back(fields))
    except InvalidInput:
        raise
    except (AttributeError, TypeError, ValueError, IndexError, KeyError, struct.error, zlib.error) as error:
        raise InvalidInput(f"this packed state cannot be read: {error}; begin with a new one") from error


def _refuse() -> NoReturn:
    raise InvalidInput("this packed state is cut off or too long; begin with a new one")


class _Bulk:
    """The many numbers (`wealth`) and labels (`labels`) of a state, in order, apart from its other values.

    What has such a key and is of another kind, as a stratum of that name, stays where it is.
    """

    def __init__(self) -> None:
        self.numbers: list[float] = []
        self.codes: list[int] = []

    @classmethod
    def of(cls, lifted: Mapping[str, Any], content: bytes) -> _Bulk:
        """From what `lifted` gave, and the bytes of its numbers and codes."""
        bulk, size = (
            cls(),
            8 * sum(count for key, count in _places(lifted) if key == "wealth" and isinstance(count, int)),
        )
        rows = np.frombuffer(content[:size], dtype=np.uint8).reshape(8, -1).T
        bulk.numbers = np.frombuffer(rows.tobytes(), dtype="<f8").tolist()
        bulk.codes = list(content[size:])
        return bulk

    def lifted(self, value: Any) -> Any:
        """A copy without them: how many numbers there were; how many labels, of how many goals."""
        if not isinstance(value, Mapping):
            return value
        return {key: self._lift(key, part) for key, part in value.items()}

    def _lift(self, key: str, part: Any) -> Any:
        if key == "wealth" and isinstance(part, list):
            self.numbers += part
            return len(part)
        if key == "labels" and isinstance(part, str):
            goals = max(max((_DIGITS.index(one) for one in set(part)), default=0) + 1, 2)
            self.codes += _grouped(part, goals)
            return f"{len(part)} {goals}"
        return self.lifted(part)

    def put_back(self, value: Any) -> Any:
        """The inverse of `lifted`."""
        if not isinstance(value, Mapping):
            return value
        return {key: self._put(key, part) for key, part in value.items()}

    def _put(self, key: str, part: Any) -> Any:
        if key == "wealth" and isinstance(part, int):
            numbers, self.numbers = self.numbers[:part], self.numbers[part:]
            return numbers if len(numbers) == part else _refuse()
        if key == "labels" and isinstance(part, str):
            count, goals = map(int, part.split())
            size = -(-count // _to_a_byte(goals))
            codes, self.codes = self.codes[:size], self.codes[size:]
            words = _words(goals)
            return "".join(words[code] for code in codes)[:count] if len(codes) == size else _refuse()
        return self.put_back(part)


def _places(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key of nested mappings with what it holds."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield key, part
            yield from _places(part)


def _to_a_byte(goals: int) -> int:
    """How many labels of so many goals fit into a byte."""
    return int(math.log(256.5, goals))


def _grouped(labels: str, goals: int) -> list[int]:
    each = _to_a_byte(goals)
    padded = labels + "0" * (-len(labels) % each)
    return [int(padded[at : at + each], goals) for at in range(0, len(padded), each)]


@lru_cache
def _words(goals: int) -> list[str]:
    """The labels that each byte stands for."""
    each = _to_a_byte(goals)
    return ["".join(digits) for digits in product(_DIGITS[:goals], repeat=each)]


_COMMON_BEFORE = (
    b'"standing":{"since":{"value":,"low":,"high":,"level":0.95,"unit":"responses","n":,"method":"posterior of the'
    b' time of change"},"window":{"":[],"reading":[],"back":0.0,"back_since":0,"back_window":{},"notify_at":null,"'
    b'sent":1},"g1","g2","g3","g4","g5","name":"stratified","all":"parts":"baselines":{"directed","flagged":[false'
    b',true,false,true,true],"bound":0.0,"promise":{"kind":"lifetime","alpha":0.01,"horizon":null},e-05,e-06,e-07,'
    b"0.0001,0.000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    b'0000000000000000{"step":,"epoch":{"number":1,"since":0,"classifier":null,"version":null},"last_time":null,"s'
    b'ilent":false,"snoozed_until":0,"alerts":0,"queue":[],"counts":[.0,.0,.0,.0,.0],"first":{},"seen":,"warned":f'
    b'alse,"watch":{"name":"profile","portfolio":{"misaligned":[false,true,false,true,true],"usual":0},"baseline":'
    b'{"kind":"learned","counts":[.0,.0,.0,.0,.0],"freeze_at":5000},"promise":{"kind":"run-length","responses":100'
    b'00.0},"state":{"steps":,"responses":,"wealth":"","learned":[.0,.0,.0,.0,.0]}},"standing":null,"labels":"","s'
    b'trata":[""],"places":[],"exemplars":{"0":[[,""]]}}'
)


def _unpacked_before(text: str) -> dict[str, Any]:
    """What was written before there was a mark."""
    inflate = zlib.decompressobj(zdict=_COMMON_BEFORE)
    fields = json.loads(inflate.decompress(base64.b85decode(text), _MOST))
    whole = inflate.eof and isinstance(fields, dict)
    return dict(_from_hex(fields)) if whole else _refuse()


def _from_hex(value: Any) -> Any:
    """A copy in which every `wealth` is numbers."""
    if not isinstance(value, Mapping):
        return value
    return {key: _numbers(part) if key == "wealth" else _from_hex(part) for key, part in value.items()}


def _numbers(text: str) -> list[float]:
    return list(struct.unpack(f"<{len(text) // 16}d", bytes.fromhex(text)))
