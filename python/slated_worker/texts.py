"""Cutting, masking and printing what may not be printable. Nothing here raises."""

import reprlib

_secrets = set()


def hide(secret):
    """Remembers a text that must not stand in any report."""
    if isinstance(secret, str) and len(secret) >= 4:
        _secrets.add(secret)


def masked(text):
    """Returns the text with every known secret replaced."""
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, "***")
    return text


def cut(text, limit):
    """Returns the text with its middle left out where it is longer than `limit`
    characters; the end says most in a traceback and gets three quarters."""
    if len(text) <= limit:
        return text
    head = limit // 4
    tail = limit - head
    gap = "\n... %d characters left out ...\n" % (len(text) - limit)
    return text[:head] + gap + text[-tail:]


def safe_str(value):
    """Returns str(value), or a note where that raises."""
    try:
        return str(value)
    except BaseException as error:
        return "<str() of %s raised %s>" % (type(value).__name__, type(error).__name__)


class _Printer(reprlib.Repr):
    def __init__(self, limit):
        reprlib.Repr.__init__(self)
        self.maxlevel = 6
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 60
        self.maxdeque = self.maxarray = 60
        self.maxstring = self.maxother = self.maxlong = limit

    def repr1(self, x, level):
        try:
            return reprlib.Repr.repr1(self, x, level)
        except BaseException as error:
            return "<repr() of %s raised %s>" % (type(x).__name__, type(error).__name__)


def safe_repr(value, limit=400):
    """Returns repr(value), long parts cut, broken parts named."""
    return cut(_Printer(limit).repr(value), limit * 10)
