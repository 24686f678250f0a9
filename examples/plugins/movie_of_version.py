"""Makes a movie of a Version's frames: heavy work, in a process of its own.

When the frames of a Version get a path, MOVIE_OF_VERSION_COMMAND makes a movie beside them,
and the Version gets its path.

Settings, read from the environment:

    SGDAEMON_MOVIE_OF_VERSION_NAME  the script user this plugin writes as
    SGDAEMON_MOVIE_OF_VERSION_KEY   its key
    MOVIE_OF_VERSION_COMMAND        for example: ffmpeg -v error -i {frames} -pix_fmt yuv420p {movie}

Safe to run twice for one event: a movie that is there is not made again, and one that is half
done has another name. Events wait while the command runs, so a plugin that does such work
does nothing else. What the command says goes to the log. After LIMIT seconds, or when the call
is cut short by an exception (the `soft_timeout` of `slated.toml` is one), it is killed with
whatever it started.

A killed Python runs no `finally`, so keep LIMIT below `hard_timeout`.
"""

import os
import shlex
import signal
import subprocess
import threading

SCRIPT = os.environ["SGDAEMON_MOVIE_OF_VERSION_NAME"]
KEY = os.environ["SGDAEMON_MOVIE_OF_VERSION_KEY"]
COMMAND = os.environ["MOVIE_OF_VERSION_COMMAND"]

# In seconds.
LIMIT = 1800


def registerCallbacks(reg):
    # A dry run starts nothing. The Python event daemon has none.
    dry = getattr(reg, "isDry", lambda: False)()
    reg.registerCallback(
        SCRIPT,
        KEY,
        movie_of_version,
        {"Shotgun_Version_Change": ["sg_path_to_frames"]},
        args={"limit": LIMIT, "dry": dry},
    )


def movie_of_version(sg, logger, event, args):
    if event["entity"] is None:
        return
    version = sg.find_one(
        "Version",
        [["id", "is", event["entity"]["id"]]],
        ["code", "sg_path_to_frames", "sg_path_to_movie"],
    )
    if not version or not version["sg_path_to_frames"]:
        return  # gone since
    frames = version["sg_path_to_frames"]
    # /render/shot.%04d.exr -> /render/shot.mov
    movie = frames.split("%")[0].rstrip("._") + ".mov"
    if not os.path.exists(movie):
        half = "%s.%d.half.mov" % (movie[: -len(".mov")], os.getpid())
        # Paths are put in after the words are cut, so that one with spaces stays one word.
        command = [word.format(frames=frames, movie=half) for word in shlex.split(COMMAND)]
        if args["dry"]:
            logger.info("Not run: %s", command)
            return
        try:
            run(command, args["limit"], logger)
            os.replace(half, movie)
        finally:
            if os.path.exists(half):
                os.remove(half)
    if version["sg_path_to_movie"] != movie:
        sg.update("Version", version["id"], {"sg_path_to_movie": movie})
        logger.info("The movie of %s is %s.", version["code"], movie)


def run(command, limit, logger):
    """Runs a command in a process group of its own; raises an error if it fails or takes too long."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        errors="replace",
        start_new_session=True,
    )
    late = threading.Event()

    def end():
        late.set()
        kill(process)

    timer = threading.Timer(limit, end)
    timer.daemon = True
    timer.start()
    try:
        # To the end of the output: whatever it started may hold that open, and counts.
        for line in process.stdout:
            logger.info("%s: %s", command[0], line.rstrip())
        process.wait()
    except BaseException:
        kill(process)
        process.wait()
        raise
    finally:
        timer.cancel()
        process.stdout.close()
    if late.is_set():
        raise RuntimeError("%s was killed after %s seconds" % (command[0], limit))
    if process.returncode != 0:
        raise RuntimeError("%s ended with %d" % (command[0], process.returncode))


def kill(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended by itself
