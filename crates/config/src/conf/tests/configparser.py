"""Reads files with Python's own configparser: JSON cases on stdin, JSON answers on stdout."""

import configparser
import io
import json
import sys


def attempt(read):
    try:
        return {"is": read()}
    except (configparser.Error, ValueError) as error:
        return {"error": type(error).__name__}


def whole(number):
    # No key takes more than 64 bits, and Rust refuses what does not fit.
    if not -(2**63) <= number < 2**63:
        raise ValueError(number)
    return str(number)


def answer(case):
    parser = configparser.ConfigParser(case["env"])
    raw = io.TextIOWrapper(io.BytesIO(case["text"].encode("utf-8")), encoding="utf-8")
    try:
        parser.read_file(raw)
    except configparser.Error as error:
        return {"error": type(error).__name__}
    env = {name.lower() for name in case["env"]}
    sections = {}
    for section in parser.sections():
        own = set(parser._sections[section])
        keys = own | {key for key in parser.defaults() if key not in env}
        sections[section] = {
            key: {
                "raw": parser.get(section, key, raw=True),
                "text": attempt(lambda: parser.get(section, key)),
                "int": attempt(lambda: whole(parser.getint(section, key))),
                "boolean": attempt(lambda: parser.getboolean(section, key)),
            }
            for key in keys
        }
    return {"sections": sections}


json.dump(
    {
        "version": list(sys.version_info[:3]),
        "answers": [answer(case) for case in json.load(sys.stdin)],
    },
    sys.stdout,
)
