"""Differences that 1.32 has from 1.20 by its documented behaviour: each with its reason."""


def why(kind, op, path, what, ref, tested, detail):
    """The reason for a difference, None when there is none."""
    for reason, rule in RULES:
        if rule(kind, op, path, what, ref, tested, detail):
            return reason
    return None


RULES = [
]
