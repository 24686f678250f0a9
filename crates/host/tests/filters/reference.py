"""What `matchEvents` means, said a second time: the rules of docs/plugins.md, "Which events", read
as Python reads them.

    python reference.py draw SEED COUNT     draws filters, and events for each
    python reference.py given               reads {"filter": Python text, "events": [...]} from stdin

Prints a line of JSON for each filter: its text, what the worker makes of it (`rules`, or null where
it refuses it), whether the rules call for that (`refused`), and for each event its type, its
attribute and whether it is wanted. Needs the worker's package in PYTHONPATH.
"""

import collections
import json
import random
import sys

from slated_worker.matching import normalise

TYPES = ["Shotgun_Task_Change", "Shotgun_Version_New", "Shotgun_Shot_Change", "Studio_Turnover"]
KEYS = TYPES + ["*", "Shotgun_*_Change", ""]
ATTRIBUTES = ["sg_status_list", "status", "code", "sg", "s", "*", "image", "STATUS"]
# Beside these, what is a part of another counts for plain strings alone.
TEXTS = ATTRIBUTES + ["", "sg_*", "code,image", "sg_status_list code"]


def refused(filter):
    """Tells whether it can be registered at all: a dict whose values can hold names."""
    if not filter:
        return False
    if not isinstance(filter, dict):
        return True
    # What stands under a key that no event's type equals is never looked at.
    values = [filter[key] for key in filter if isinstance(key, str)]
    return any(isinstance(value, (int, float, bytes)) for value in values)


def wanted(filter, event_type, attribute):
    """Tells whether a callback with this filter gets an event."""
    if not filter:
        return True
    # "*" stands for every type, and what else there is counts no more.
    key = "*" if "*" in filter else event_type
    if key not in filter:
        return False
    attributes = filter[key]
    if attributes is None:
        return True
    # In a plain string, Python's `in` looks for a part of it; elsewhere, for a member.
    return "*" in attributes or bool(attribute and attribute in attributes)


def draw_value(chance):
    names = chance.sample(ATTRIBUTES, chance.choice([0, 1, 1, 2, 3]))
    # Stars are rare in real plugins; here too, or most filters would take everything.
    names = [name for name in names if name != "*" or chance.random() < 0.4]
    if chance.random() < 0.1:
        names.append(chance.choice([None, 3, ("code",), ""]))
    return chance.choice(
        [
            lambda: None,
            lambda: list(names),
            lambda: tuple(names),
            lambda: set(names),
            lambda: frozenset(names),
            lambda: dict.fromkeys(names, None),
            lambda: collections.deque(names),
            lambda: chance.choice(TEXTS),
            lambda: chance.choice(TEXTS),
            lambda: chance.choice([5, 0, True, False, 1.5, b"code"]) if chance.random() < 0.3 else names,
        ]
    )()


def draw_filter(chance):
    if chance.random() < 0.05:
        return chance.choice([None, {}, [], (), "", 0, ["Shotgun_Task_Change"], "Shotgun_Task_Change", 7])
    keys = chance.sample(KEYS, chance.choice([1, 1, 2, 3]))
    keys = [key for key in keys if key != "*" or chance.random() < 0.5] or ["Studio_Turnover"]
    if chance.random() < 0.05:
        keys.append(chance.choice([3, ("Studio_Turnover",)]))
    return {key: draw_value(chance) for key in keys}


def draw_events(chance, filter):
    events = []
    for _ in range(10):
        types = list(TYPES)
        if isinstance(filter, dict):
            # Most events are of a type that the filter names.
            types += [key for key in filter if isinstance(key, str) and key != "*"] * 4
        attribute = chance.choice(ATTRIBUTES + [None, None, ""])
        events.append((chance.choice(types), attribute))
    return events


def told(filter, text, events):
    try:
        rules = normalise(filter)[0]
    except TypeError:
        rules = None
    refuse = refused(filter)
    judged = [] if refuse else [(kind, at, wanted(filter, kind, at)) for kind, at in events]
    return {"filter": text, "rules": rules, "refused": refuse, "events": judged}


def main():
    if sys.argv[1] == "draw":
        chance = random.Random(int(sys.argv[2]))
        for _ in range(int(sys.argv[3])):
            filter = draw_filter(chance)
            print(json.dumps(told(filter, repr(filter), draw_events(chance, filter))))
    else:
        for line in sys.stdin:
            given = json.loads(line)
            # The text of a test, nobody else's.
            filter = eval(given["filter"])
            print(json.dumps(told(filter, given["filter"], given["events"])))


main()
