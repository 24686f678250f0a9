"""Writes to a site through the official client, as artists and tools do.

Arguments: URL SCRIPT KEY COUNT PAUSE_MS. Makes COUNT changes one after the other: Notes,
and status changes of a Task it makes first.
"""

import sys
import time

import shotgun_api3

url, script, key, count, pause_ms = sys.argv[1:]
sg = shotgun_api3.Shotgun(url, script_name=script, api_key=key)
project = sg.find_one("Project", [])
task = sg.create("Task", {"project": project, "content": "written by a test"})
for number in range(int(count)):
    if number % 2:
        status = ("wtg", "ip")[number // 2 % 2]
        sg.update("Task", task["id"], {"sg_status_list": status})
    else:
        sg.create("Note", {"project": project, "subject": "note %d" % number})
    time.sleep(int(pause_ms) / 1000.0)
print("wrote %d" % int(count))
