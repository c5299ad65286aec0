"""What a drawn moment becomes before it is sent: docs/decisions/0010."""

import json
import os
import re

# As schemathesis, this reads ECMAScript's expression as Python's; both mean the same here.
MOMENT_IN = re.compile(json.loads(os.environ["LOTLINE_PATTERNS"])["TimestampInput"])


def settled(moment: object) -> object:
    """
    A moment on which the document and PostgreSQL agree. Of what the document's pattern doesn't match,
    PostgreSQL reads `2026-01-18*`, `Jan 18 2026` and the number 20260118, but no unknown word and no
    negative number.
    """
    if isinstance(moment, str):
        if MOMENT_IN.fullmatch(moment):
            return within_years(moment)
        return f"refused {moment}" if any(map(str.isdigit, moment)) else moment
    if isinstance(moment, (int, float)) and not isinstance(moment, bool):
        return -1
    return moment


def within_years(moment: str) -> str:
    return moment.replace("9999-12-31", "9998-12-31", 1).replace("0001-01-01", "0002-01-01", 1)
