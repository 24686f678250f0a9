"""Which files of the studio a plugin imported: its helper modules, with the content that runs.

slated watches them as it watches the plugin's own file, so what is said of them must be what was
imported, though the file be edited meanwhile: the folders below have a loader of their own, which
hashes what it reads. Invariant: a cached bytecode is not used where it may be that of a text
before, which Python cannot tell within a second.
"""

import hashlib
import importlib.machinery
import importlib.util
import os
import sys
import time

# Names of folders in which packages are installed: those are no helpers.
PACKAGES = ("site-packages", "dist-packages")

# No more files are told of.
MOST = 2000

# How long after its modification time a file may still change without a trace in its bytecode, in
# seconds: that knows whole seconds and the size.
TICK = 2.0

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LIBRARY = os.path.dirname(os.path.abspath(os.__file__))

# As they are before a plugin runs: what it puts in their places is for its own use.
_abspath, _stat = os.path.abspath, os.stat

# The folders that are looked in, and below.
_folders = []

# What was read of each file: its SHA-256; and how often a file was read.
_read = {}
_reads = [0]


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module as Python does, and notes the content."""

    def get_code(self, fullname):
        path = self.get_filename(fullname)
        while True:
            before = _mark(path)
            source = self.get_data(path)
            _reads[0] += 1
            _read[_abspath(path)] = hashlib.sha256(source).hexdigest()
            if _may_be_older(path):
                code = self.source_to_code(source, path)
            else:
                code = super(_Loader, self).get_code(fullname)
            if _mark(path) == before:
                return code


_finder = importlib.machinery.FileFinder.path_hook(
    (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES),
    (_Loader, importlib.machinery.SOURCE_SUFFIXES),
    (importlib.machinery.SourcelessFileLoader, importlib.machinery.BYTECODE_SUFFIXES),
)


def _hook(path):
    try:
        watched = is_watched(_abspath(path or "."))
    except OSError:
        watched = False  # relative to a working directory that was removed
    if not watched:
        raise ImportError("not a folder of the studio's own", path=path)
    return _finder(path)


def follow(folders):
    """Notes from now on what is imported from these folders."""
    for folder in folders:
        # A plugin may have found its folder's name with links resolved.
        for path in (_abspath(str(folder)), os.path.realpath(str(folder))):
            if path not in _folders:
                _folders.append(path)
    if _hook not in sys.path_hooks:
        sys.path_hooks.insert(0, _hook)
    for path in list(sys.path_importer_cache):
        if is_watched(_abspath(path or ".")):
            del sys.path_importer_cache[path]


class _BesidePlugins(object):
    """Finds what stands in the plugins' folders, where it is found nowhere else. Plugins of the
    Python daemon share a process, and import each other and the modules beside them by name."""

    def __init__(self, folders):
        self.folders = folders

    def find_spec(self, name, path=None, target=None):
        """Returns the spec of a module or package, or None."""
        if path is not None or "." in name:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, self.folders)
        # A folder with nothing in it that says so is no package.
        return spec if spec is not None and spec.has_location else None


def look_beside(plugin_path, folders):
    """Looks, last of all, in the folder of the plugin for modules, and in those of the others."""
    own = os.path.dirname(_abspath(plugin_path))
    folders = [own] + [str(folder) for folder in folders if str(folder) != own]
    sys.meta_path.append(_BesidePlugins(folders))


def is_watched(path):
    """Tells whether an absolute path is one of the folders, or below one, and the studio's own."""
    if any(part in PACKAGES for part in path.split(os.sep)):
        return False
    if _below(path, _HERE) or _below(path, _LIBRARY):
        return False
    return any(_below(path, folder) for folder in _folders)


def _below(path, folder):
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


class Imports(object):
    """What one plugin imported, as it was last told."""

    def __init__(self, plugin_path):
        self._plugin = _abspath(plugin_path)
        self._seen = None
        self._told = {}

    def look(self, error=None):
        """Returns (files, too many): every file with its content, as the protocol has them.
        `error` is what the load failed with: a module that it misses is looked for, too."""
        self._seen = _state()
        found = dict(_read)
        for module in list(sys.modules.values()):
            path = _file(module)
            if path and path not in found and is_watched(path):
                found[path] = _digest(path)
        for path in _missed(error):
            found.setdefault(path, "")
        found.pop(self._plugin, None)
        self._told = found
        paths = sorted(found)
        return [{"path": p, "sha256": found[p]} for p in paths[:MOST]], len(paths) > MOST

    def news(self):
        """Returns the files, if there are others than at the last look; else None. Costs next to
        nothing where no module was imported since."""
        if _state() == self._seen:
            return None
        before = self._told
        files, _ = self.look()
        return files if self._told != before else None


def _state():
    return len(sys.modules), _reads[0]


def _file(module):
    """Returns the text that a module was made of, or None."""
    try:
        path = vars(module).get("__file__")
    except TypeError:
        return None  # not a module; anything may stand there
    if isinstance(path, str) and path.endswith(".py"):
        try:
            return _abspath(path)
        except OSError:
            return None  # relative to a working directory that was removed
    return None


def _digest(path):
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return ""


def _places():
    """Returns where modules are looked for."""
    beside = [f.folders for f in sys.meta_path if isinstance(f, _BesidePlugins)]
    return sum(beside, list(sys.path))


def _missed(error):
    """Returns where modules were looked for that are not there."""
    paths, seen = [], []
    while error is not None and error not in seen:
        seen.append(error)
        name = getattr(error, "name", None)
        if isinstance(error, ModuleNotFoundError) and isinstance(name, str):
            package, _, last = name.rpartition(".")
            places = getattr(sys.modules.get(package), "__path__", ()) if package else _places()
            for place in places:
                place = _abspath(place or ".")
                if is_watched(place):
                    paths.append(os.path.join(place, last + ".py"))
                    paths.append(os.path.join(place, last, "__init__.py"))
        error = error.__cause__ or error.__context__
    return paths


def _may_be_older(path):
    """Tells whether cached bytecode may be that of an earlier text of the same size."""
    try:
        modified = _stat(path).st_mtime
        if modified > time.time() - TICK:
            return True
        cached = _stat(importlib.util.cache_from_source(path)).st_mtime
    except (OSError, NotImplementedError):
        return False
    return modified - 1 <= cached < modified + TICK


def _mark(path):
    try:
        stat = _stat(path)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
