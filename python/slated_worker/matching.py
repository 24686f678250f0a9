"""`matchEvents` as the daemon understands it.

The Python daemon asked `x in value` and let Python decide what that meant: a list, a set
and the keys of a dict hold attributes, a plain string holds them as substrings. The
daemon here sees JSON, which cannot tell those apart, so the worker says which it was.
"""

from collections.abc import Iterable, Mapping


def normalise(match_events):
    """Returns (rules, warnings). `rules` is {event type: rule}; a rule is {"any": True},
    {"attrs": [...]} or {"substring": "..."}; {} means every event. Raises TypeError for
    what the Python daemon could not have matched with."""
    if not match_events:
        return {}, []
    if not isinstance(match_events, Mapping):
        raise TypeError(
            "matchEvents must be a dict of event types, such as"
            " {'Shotgun_Task_Change': ['sg_status_list']}, not %s" % type(match_events).__name__
        )
    rules = {}
    warnings = []
    for key in match_events:
        value = match_events[key]
        if not isinstance(key, str):
            warnings.append("the key %r of matchEvents is no event type and never matches" % (key,))
            continue
        if "*" in key and key != "*":
            warnings.append("%r in matchEvents never matches: event types know no wildcards" % key)
        rules[key] = _rule(key, value, warnings)
    if "*" in rules and len(rules) > 1:
        others = ", ".join(repr(k) for k in sorted(rules) if k != "*")
        warnings.append("the key '*' of matchEvents makes the others ignored: %s" % others)
    # No usable key is "never", while no key at all means "every event".
    return rules or {"": {"attrs": []}}, warnings


def _rule(key, value, warnings):
    if value is None:
        return {"any": True}
    if isinstance(value, str):
        if "*" in value:
            return {"any": True}
        warnings.append(
            "%r: %r in matchEvents is a plain string: it takes every attribute whose name"
            " stands in it; write [%r] for this one alone" % (key, value, value)
        )
        return {"substring": value}
    if isinstance(value, (bytes, bytearray)) or not isinstance(value, Iterable):
        raise TypeError(
            "matchEvents[%r] must be None or a list of attribute names, not %s"
            % (key, type(value).__name__)
        )
    members = list(value)
    if "*" in members:
        return {"any": True}
    attributes = [m for m in members if isinstance(m, str)]
    for odd in (m for m in members if not isinstance(m, str)):
        warnings.append("%r in matchEvents[%r] is no attribute name and never matches" % (odd, key))
    if not attributes:
        warnings.append("matchEvents[%r] is empty and never matches; None takes all" % key)
    elif key.endswith("_New"):
        warnings.append(
            "matchEvents[%r] never matches: such events have no attribute; None takes all" % key
        )
    return {"attrs": attributes}
