"""Makes the folders of a new Shot: ROOT/PROJECT/SEQUENCE/SHOT/work and so on.

Settings, read from the environment:

    SGDAEMON_FOLDERS_FOR_SHOT_NAME  a script user; nothing is written to the site
    SGDAEMON_FOLDERS_FOR_SHOT_KEY   its key
    FOLDERS_FOR_SHOT_ROOT           the folder of all projects, which must be there

Safe to run twice for one event: folders that are there are left alone, with what is in them.
Who may write to them says the umask: in `slated.toml`, `umask` beside `env`.
"""

import os
import re

SCRIPT = os.environ["SGDAEMON_FOLDERS_FOR_SHOT_NAME"]
KEY = os.environ["SGDAEMON_FOLDERS_FOR_SHOT_KEY"]
ROOT = os.environ["FOLDERS_FOR_SHOT_ROOT"]

# Below the folder of the Shot.
FOLDERS = ["work", "publish", os.path.join("render", "comp"), os.path.join("render", "light")]
# People type these names: no separators, no "..", nothing hidden.
NAME = re.compile(r"\w[\w.-]*")


def registerCallbacks(reg):
    # A dry run leaves the disk alone. The Python event daemon has none.
    dry = getattr(reg, "isDry", lambda: False)()
    reg.registerCallback(
        SCRIPT,
        KEY,
        folders_for_shot,
        {"Shotgun_Shot_New": None},
        args={"folders": FOLDERS, "dry": dry},
    )


def folders_for_shot(sg, logger, event, args):
    if event["entity"] is None:
        return
    shot = sg.find_one(
        "Shot",
        [["id", "is", event["entity"]["id"]]],
        ["code", "project.Project.tank_name", "sg_sequence.Sequence.code"],
    )
    if not shot:
        return  # deleted since
    names = [shot["project.Project.tank_name"], shot["sg_sequence.Sequence.code"], shot["code"]]
    names = [name for name in names if name]
    if len(names) < 3 or not all(NAME.fullmatch(name) for name in names):
        logger.warning("Shot %d has no place in folders: %s.", shot["id"], "/".join(names))
        return
    if not os.path.isdir(ROOT):
        # A disk that is not mounted; its folders must not come into being on this machine's own.
        raise OSError("%s is not there" % ROOT)
    home = os.path.join(ROOT, *names)
    paths = [os.path.join(home, folder) for folder in args["folders"]]
    missing = [path for path in paths if not os.path.isdir(path)]
    if args["dry"]:
        logger.info("Not made: %s.", ", ".join(missing) or "nothing")
        return
    for path in missing:
        os.makedirs(path, exist_ok=True)
    logger.info("%s: %d folders made.", home, len(missing))
