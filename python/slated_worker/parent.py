"""The preloaded parent: imports once what every worker needs, and forks workers.

slated keeps one for each interpreter, import paths, environment, umask and working directory, so
that its `sys.path` and what it imported are those a worker would have had. It speaks lines
of JSON over the socket it finds as stdin:

    {"preload": {"import_paths": [...],
     "umask": mask or null}}                     {"ready": pid} or {"unfit": why}
    {"fork": worker, "cwd": path or null,        {"forked": pid}, {"stale": file} or
     "grace_ms": n}, with three descriptors      {"refused": why}
                                                 {"ended": {"pid": pid, "status": as waitpid has it}}

Invariants: it has one thread, or says that it is unfit. Nothing of a plugin is imported here.
The descriptors of a worker are open here from their arrival to the fork alone, so no other
worker inherits them. When slated is gone, so are all workers soon after, and it.
"""

import gc
import importlib.machinery
import json
import os
import select
import signal
import socket
import struct
import sys
import time

from slated_worker import clients, serve, surroundings

CLIENT = "shotgun_api3"

# What is looked for by name: each may appear in front of where it was, or where there was none.
FIRST = (CLIENT, "sitecustomize", "usercustomize")

# Names of folders in which packages are installed.
PACKAGES = ("site-packages", "dist-packages")

# In, out, err.
DESCRIPTORS = 3

# How long imports may take, in seconds: longer than slated waits for them.
IMPORTS = 60

# How much longer than the grace of their calls workers may outlive slated, in seconds.
LAST = 0.5


def run():
    """Serves slated until it is gone: then returns None. In every worker that is forked
    meanwhile it returns, too: (in, out), the protocol's own descriptors."""
    gc.disable()  # what is collected leaves holes, which workers would fill: pages no longer shared
    parent = _Parent(_take_control())
    try:
        return parent.serve()
    except (OSError, ValueError, KeyError) as error:
        sys.stderr.write("slated's preloaded Python: %s\n" % error)
        return None


def _take_control():
    """Returns the socket that came as stdin. Afterwards stdin is empty, and what is printed
    goes where stderr goes."""
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return control


class _Parent(object):
    def __init__(self, control):
        self._control = control
        self._pids = set()
        self._grace = 0.0
        self._watched = None
        self._wake_in, self._wake_out = os.pipe()
        for fd in (self._wake_in, self._wake_out):
            os.set_blocking(fd, False)

    def serve(self):
        request = self._receive()[0]
        if request is None:
            return None
        # An import that never ends must not outlive slated, which is not listened to meanwhile.
        signal.alarm(IMPORTS)
        preload = request["preload"]
        if preload.get("umask") is not None:
            os.umask(preload["umask"])
        why = _preload(preload["import_paths"])
        signal.alarm(0)
        if why:
            self._send({"unfit": why})
            return None
        self._watched = _Watched()
        signal.set_wakeup_fd(self._wake_out, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _noted)
        gc.freeze()
        self._send({"ready": os.getpid()})
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake_in, select.POLLIN)
        while True:
            ready = [fd for fd, _ in poll.poll()]
            if self._wake_in in ready:
                self._collect()
            if self._control.fileno() in ready:
                request, fds = self._receive()
                if request is None:
                    self._outlive()
                    return None
                pipes = self._fork(request, fds)
                if pipes:
                    return pipes

    def _fork(self, request, fds):
        """Forks a worker and says so; in the worker returns its pipes."""
        pid = None
        try:
            changed = self._watched.changed()
            if changed:
                self._send({"stale": changed})
                return None
            if len(fds) != DESCRIPTORS:
                raise ValueError("%d descriptors came instead of %d" % (len(fds), DESCRIPTORS))
            sys.stdout.flush()
            sys.stderr.flush()
            try:
                pid = os.fork()
            except OSError as error:
                self._send({"refused": str(error)})
                return None
            if pid == 0:
                return self._become_worker(request, fds)
        finally:
            if pid != 0:
                for fd in fds:
                    os.close(fd)
        try:
            # The worker does so, too: whoever is first, it leads a group before anybody signals it.
            os.setpgid(pid, pid)
        except OSError:
            pass
        self._pids.add(pid)
        self._grace = max(self._grace, request["grace_ms"] / 1000.0)
        self._send({"forked": pid})
        return None

    def _become_worker(self, request, fds):
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setpgid(0, 0)
            self._control.close()
            os.close(self._wake_in)
            os.close(self._wake_out)
            inward, outward, errors = fds
            os.dup2(errors, 2)
            os.dup2(errors, 1)
            os.close(errors)
            os.environ["SLATED_WORKER_ID"] = str(request["fork"])
            if request["cwd"] is not None:
                os.chdir(request["cwd"])
            gc.enable()
            return inward, outward
        except BaseException as error:
            # Never back into the parent's loop.
            try:
                os.write(2, ("slated worker: cannot start: %s\n" % error).encode("utf-8", "replace"))
            finally:
                os._exit(serve.INTERNAL)

    def _collect(self):
        """Reports workers that have ended."""
        try:
            while os.read(self._wake_in, 4096):
                pass
        except BlockingIOError:
            pass
        for pid in list(self._pids):
            try:
                found, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                found, status = pid, None
            if found:
                self._pids.discard(pid)
                if status is not None:
                    self._send({"ended": {"pid": pid, "status": status}})

    def _outlive(self):
        """slated is gone. Workers see it by themselves and end; one that cannot is ended."""
        until = time.monotonic() + self._grace + LAST
        while self._pids and time.monotonic() < until:
            time.sleep(0.02)
            self._collect()
        for pid in self._pids:
            try:
                os.killpg(pid, signal.SIGKILL)
            except OSError:
                pass

    def _receive(self):
        """Returns (message, descriptors); (None, []) where slated is gone."""
        text, fds = b"", []
        while not text.endswith(b"\n"):
            space = socket.CMSG_SPACE(DESCRIPTORS * struct.calcsize("i"))
            try:
                data, extra, _, _ = self._control.recvmsg(65536, space, socket.MSG_CMSG_CLOEXEC)
            except ConnectionError:
                data, extra = b"", []  # it went before it had read everything
            for level, kind, body in extra:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    size = struct.calcsize("i")
                    count = len(body) // size
                    fds.extend(struct.unpack("%di" % count, body[: count * size]))
            if not data:
                return None, []
            text += data
        return json.loads(text.decode("utf-8")), fds

    def _send(self, message):
        try:
            self._control.sendall(json.dumps(message).encode("utf-8") + b"\n")
        except OSError:
            pass  # the end of the socket is seen where it is read


def _noted(_signum, _frame):
    """Does nothing: a handler there must be, or no signal wakes the loop."""


def _preload(import_paths):
    """Imports what every worker imports; returns why it must not be forked, or None."""
    surroundings.import_from(import_paths)
    surroundings.limit_sockets()
    try:
        clients.load()
    except clients.NoClient as error:
        # Workers say so themselves, each for its plugin.
        return str(error)
    except BaseException as error:
        return "%s does not import: %s" % (CLIENT, type(error).__name__)
    count = _threads()
    if count != 1:
        return "what Python imports at its start has started threads (%d)" % (count - 1)
    return None


def _threads():
    """Returns how many threads this process has, those that Python does not know too."""
    return len(os.listdir("/proc/self/task"))


class _Watched(object):
    """The files that were imported, and the folders that packages are installed in, where
    files may stand that extend `sys.path`. Once one of them is another, a worker would be
    another, too."""

    def __init__(self):
        files = set()
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str):
                files.add(file)
        files.add(sys.executable)
        files.update(p for p in sys.path if os.path.basename(p) in PACKAGES)
        self._files = [(file, _mark(file)) for file in sorted(files)]
        self._found = _found()

    def changed(self):
        """Returns the first file that is another one now, or None."""
        for file, mark in self._files:
            if _mark(file) != mark:
                return file
        # Another one may have appeared in front.
        news = [name for name, file in _found().items() if file != self._found[name]]
        return news[0] if news else None


def _mark(file):
    """Returns what shows that a file is another one. For what stands in an archive, or is not
    there, that of whatever holds it."""
    try:
        stat = os.stat(file)
    except OSError:
        folder = os.path.dirname(file)
        return _mark(folder) if folder not in ("", file) else None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino, stat.st_dev


def _found():
    """Returns where a worker would import from, by the names of what it imports first."""
    finder = importlib.machinery.PathFinder
    finder.invalidate_caches()
    specs = [(name, finder.find_spec(name)) for name in FIRST]
    return {name: spec and spec.origin for name, spec in specs}
