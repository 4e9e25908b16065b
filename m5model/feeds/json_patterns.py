"""Regular expressions over JSON as bytes, without backtracking: texts, whole objects and whole arrays."""

import re

DEPTH = 8  # levels of objects and lists in an object or an array
TEXT = rb'"(?:[^"\\\x00-\x1f]++|\\.)*+"'


def _inside() -> bytes:
    inside = rb'(?:[^{}\[\]"]++|' + TEXT + rb")*+"
    for _ in range(DEPTH):
        inside = rb'(?:[^{}\[\]"]++|' + TEXT + rb"|[{\[]" + inside + rb"[}\]])*+"
    return inside


INSIDE = _inside()
OBJECT = re.compile(rb"\{" + INSIDE + rb"\}")
ARRAY = re.compile(rb"\[" + INSIDE + rb"\]")
