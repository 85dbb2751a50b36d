"""How is a file changed so that what is inside it still means something?"""

import copy
import json
import random
from typing import Any

SCALARS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 127, 65536, 2**31, 2**63, -(2**63), 10**30, 0.5, -0.0, 1e308, 1e-320),
    *(float("nan"), float("inf"), "", " ", "0", "1", "float32", "\0", "é", "\ud800", "\x1b[31m", "a" * 300),
    *("..", "../../etc/passwd", "/etc/passwd", "/dev/null", ".", "a/b", "a\nb", "~", "con", "[", "{", "=", "%s"),
)
"""What takes the place of a value."""


def mutate_json(document: Any, rng: random.Random) -> Any:
    """A JSON document with one to four changes; the given one stays as it is."""
    changed = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        changed = _once(changed, rng)
    return changed


def _once(document: Any, rng: random.Random) -> Any:
    places = list(_places(document))
    if not places:
        return rng.choice(SCALARS)
    holder, key = rng.choice(places)
    deed = rng.randrange(8)
    if deed == 0:
        del holder[key]
    elif deed == 1:
        holder[key] = copy.deepcopy(_value(rng.choice(places)))
    elif deed == 2:
        holder[key] = [holder[key]] if rng.random() < 0.5 else {"a": holder[key]}
    elif deed == 3:
        holder[key] = rng.choice(([], {}, [[]], [{}], {"": None}, [None], list(range(50))))
    elif deed == 4 and isinstance(holder, dict):
        holder[str(rng.choice(SCALARS))] = holder.pop(key)
    elif deed == 5 and isinstance(holder, list):
        holder.extend(copy.deepcopy(holder[:64]))
    elif deed == 6 and isinstance(holder[key], int | float):
        holder[key] = rng.choice((holder[key] + 1, -holder[key], holder[key] * 1000, str(holder[key])))
    else:
        holder[key] = rng.choice(SCALARS)
    return document


def _value(place: tuple[Any, Any]) -> Any:
    holder, key = place
    return holder[key]


def _places(node: Any) -> list[tuple[Any, Any]]:
    """Every place of a document that holds a value."""
    found: list[tuple[Any, Any]] = []
    waiting = [node]
    while waiting and len(found) < 20_000:
        holder = waiting.pop()
        keys = range(len(holder)) if isinstance(holder, list) else holder if isinstance(holder, dict) else ()
        for key in keys:
            found.append((holder, key))
            waiting.append(holder[key])
    return found


def mutate_json_text(text: str | bytes, rng: random.Random) -> bytes | None:
    """JSON text with changes to its document, or None where it is no JSON."""
    try:
        return json.dumps(mutate_json(json.loads(text), rng)).encode()
    except (ValueError, RecursionError):
        return None


def flip(content: bytes, rng: random.Random) -> bytes:
    """Bytes with a few changes anywhere, for where no fuzzing library makes them."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        if not changed:
            return bytes([rng.randrange(256)])
        place, deed = rng.randrange(len(changed)), rng.randrange(5)
        if deed == 0:
            changed[place] ^= 1 << rng.randrange(8)
        elif deed == 1:
            changed[place] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        elif deed == 2:
            changed[place : place + 4] = rng.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1)).to_bytes(4, "little")
        elif deed == 3:
            del changed[place : place + rng.choice((1, 4, 64))]
        else:
            end = min(len(changed), place + rng.choice((1, 4, 64)))
            changed[place:place] = changed[place:end]
    return bytes(changed)
