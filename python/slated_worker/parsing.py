"""Plugin files are parsed and not run: `slated check --no-load`.

stdin holds a JSON list of paths; each gets a line of JSON on stdout: {"file", "registers",
"warnings"}, with "failed", the body of a `load_failed`, where it does not compile.
"""

import ast
import json
import sys
import warnings

from slated_worker import loading

REGISTER = "registerCallbacks"


def run():
    """Parses what stdin names; returns the exit code."""
    # What a sitecustomize prints must not stand between the answers.
    out, sys.stdout = sys.stdout, sys.stderr
    warnings.simplefilter("ignore")
    for path in json.loads(sys.stdin.read()):
        out.write(json.dumps(parse(path)) + "\n")
    out.flush()
    return 0


def parse(path):
    """Returns what can be said of a file without running it."""
    answer = {"file": path, "registers": False, "warnings": []}
    source = b""
    try:
        with open(path, "rb") as file:
            source = file.read()
        tree = compile(source, path, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    except (SyntaxError, ValueError, OSError, RecursionError, MemoryError) as error:
        answer["failed"] = loading.syntax_report(error, source, path, "")
        return answer
    answer["registers"] = registers(tree.body)
    answer["warnings"] = loading.old_except_clauses(source)
    return answer


def registers(body):
    """Tells whether statements make a name `registerCallbacks`, as far as can be seen."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            if statement.name == REGISTER:
                return True
            continue  # what stands in it is not the module's
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            names = [alias.asname or alias.name for alias in statement.names]
            # What a star brings is seen by those alone who run it.
            if REGISTER in names or "*" in names:
                return True
        for node in ast.walk(statement) if isinstance(statement, ast.Assign) else ():
            if isinstance(node, ast.Name) and node.id == REGISTER:
                if isinstance(node.ctx, ast.Store):
                    return True
        for part in ("body", "orelse", "finalbody"):
            if registers(getattr(statement, part, [])):
                return True
        for handler in getattr(statement, "handlers", []):
            if registers(handler.body):
                return True
    return False
