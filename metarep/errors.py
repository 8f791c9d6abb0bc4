"""The one error for whatever a user can fix."""

from __future__ import annotations


class MetarepError(Exception):
    """Something the user can mend.

    The message is one line: what was wrong and where, the value met, the value
    expected, and what to do. The command line prints it and exits with status 1.
    """

    def __init__(self, problem: str, *, met: object = None, expected: object = None, fix: str = ""):
        parts = [problem]
        if met is not None:
            parts.append(f"met {met}")
        if expected is not None:
            parts.append(f"expected {expected}")
        if fix:
            parts.append(fix)
        super().__init__("; ".join(" ".join(str(part).split()) for part in parts))
