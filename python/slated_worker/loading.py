"""A file becomes a module, with errors a person can act on."""

import hashlib
import importlib.util
import re
import sys

from slated_worker import cause, failure, texts

# How a parser complains about text that an older one would have taken.
_PYTHON2_COMPLAINTS = (
    "Missing parentheses in call to",
    "multiple exception types must be parenthesized",
    "leading zeros in decimal integer literals",
    "inconsistent use of tabs",
    "invalid token",
)
_PYTHON2_LINES = tuple(
    re.compile(pattern)
    for pattern in (
        r"^\s*print\s+[^(=\s]",
        r"^\s*print\s*>>",
        r"^\s*exec\s+[^(=\s]",
        r"^\s*except\s+[^:#]+,\s*\w+\s*:",
        r"^\s*raise\s+[\w.]+\s*,",
        r"<>|`[^`]+`",
        r"\b[uU][rR][\"']",
        r"\b(?:0[0-7]+|\d+[lL])\b",
    )
)


class LoadFailed(Exception):
    """A plugin that cannot run. `report` is the body of `load_failed`."""

    def __init__(self, report):
        Exception.__init__(self, report.get("message", ""))
        self.report = report


def load(name, path, site_url):
    """Returns (module, sha256, warnings); the module stands in sys.modules under `name`."""
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        report = _report("import", error, path, site_url)
        # It was there a moment ago: an editor saves, a share is slow. Worth another try.
        report["cause"] = "transient"
        raise LoadFailed(report)
    # The bytes that are hashed are the bytes that run: no cached bytecode in between.
    digest = hashlib.sha256(source).hexdigest()
    try:
        code = compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise LoadFailed(syntax_report(error, source, path, site_url))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except BaseException as error:
        sys.modules.pop(name, None)
        raise LoadFailed(_report("import", error, path, site_url))
    return module, digest, old_except_clauses(source)


def register(module, registrar, path, site_url):
    """Runs `registerCallbacks`."""
    function = getattr(module, "registerCallbacks", None)
    if not callable(function):
        raise LoadFailed(
            {
                "phase": "no_register",
                "message": "the file has no function registerCallbacks, so it is no plugin",
                "file": path,
            }
        )
    try:
        function(registrar)
    except BaseException as error:
        raise LoadFailed(_report("register", error, path, site_url))


def no_client(error):
    """Returns the report for a Python without the client."""
    return {"phase": "client", "error": "ImportError", "message": texts.safe_str(error)}


def _report(phase, error, path, site_url):
    told = failure.describe(error)
    report = {
        "phase": phase,
        "error": told["type"],
        "message": told["message"],
        "traceback": told["traceback"],
        "file": path,
    }
    tb = failure.plugin_part(error)
    while tb is not None:
        if tb.tb_frame.f_code.co_filename == path:
            report["line"] = tb.tb_lineno
        tb = tb.tb_next
    found = cause.classify(error, site_url)
    if found:
        report["cause"] = found
    return report


def syntax_report(error, source, path, site_url):
    """Returns the report for a file that does not compile."""
    report = _report("import", error, path, site_url)
    if isinstance(error, (MemoryError, RecursionError)):
        report["message"] = "it is nested too deep for this Python's parser"
    line = getattr(error, "lineno", None)
    if line:
        report["line"] = line
        if looks_like_python2(error, source):
            report["message"] = "Python 2 syntax: %s (line %d)" % (error.msg, line)
    return report


def looks_like_python2(error, source):
    """Tells whether the line a parser stumbled over is Python 2."""
    if any(text in (error.msg or "") for text in _PYTHON2_COMPLAINTS):
        return True
    lines = source.decode("utf-8", "replace").splitlines()
    if not 0 < error.lineno <= len(lines):
        return False
    return any(pattern.search(lines[error.lineno - 1]) for pattern in _PYTHON2_LINES)


_OLD_EXCEPT = re.compile(r"^\s*except\s+[\w.]+\s*,\s*([A-Za-z_]\w*)\s*:")


def old_except_clauses(source):
    """Returns warnings for `except Error, name:`, which Python 3.14 reads as two classes."""
    warnings = []
    if sys.version_info >= (3, 14):
        for number, line in enumerate(source.decode("utf-8", "replace").splitlines(), 1):
            found = _OLD_EXCEPT.match(line)
            if found and not found.group(1)[0].isupper():
                warnings.append(
                    "line %d: `except Error, %s:` is Python 2; here it catches two classes,"
                    " and %s is not set" % (number, found.group(1), found.group(1))
                )
    return warnings
