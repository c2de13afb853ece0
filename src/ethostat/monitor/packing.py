"""Packing: the state of a stream in few bytes of text, exact.

JSON, its wealth in hexadecimal, deflated against text that every state has in common, in base 85.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from ethostat.errors import InvalidInput

_MOST = 1 << 24
"""Bytes that one state may unfold to, so that a damaged or hostile file cannot fill the memory."""
_COMMON = (
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


def pack(fields: Mapping[str, Any]) -> str:
    """ASCII text from which `unpack` gives the same plain values, floats to the last bit."""
    text = json.dumps(_changed(fields, _in_hex), separators=(",", ":"), ensure_ascii=True).encode()
    deflate = zlib.compressobj(9, zdict=_COMMON)
    return base64.b85encode(deflate.compress(text) + deflate.flush()).decode()


def unpack(text: str) -> dict[str, Any]:
    """The inverse of `pack`. Raises InvalidInput for what it did not write, or wrote in another version."""
    try:
        inflate = zlib.decompressobj(zdict=_COMMON)
        fields = json.loads(inflate.decompress(base64.b85decode(text), _MOST))
        whole = inflate.eof and isinstance(fields, dict)
        return dict(_changed(fields, _from_hex)) if whole else _refuse()
    except InvalidInput:
        raise
    except (AttributeError, TypeError, ValueError, struct.error, zlib.error) as error:
        raise InvalidInput(f"this packed state cannot be read: {error}; begin with a new one") from error


def _refuse() -> NoReturn:
    raise InvalidInput("this packed state is cut off or too long; begin with a new one")


def _changed(value: Any, wealth: Callable[[Any], Any]) -> Any:
    """A copy in which every `wealth`, the many numbers of a state, is written another way."""
    if isinstance(value, Mapping):
        return {key: wealth(part) if key == "wealth" else _changed(part, wealth) for key, part in value.items()}
    return value


def _in_hex(wealth: list[float]) -> str:
    return struct.pack(f"<{len(wealth)}d", *wealth).hex()


def _from_hex(text: str) -> list[float]:
    return list(struct.unpack(f"<{len(text) // 16}d", bytes.fromhex(text)))
