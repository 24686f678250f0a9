"""What the official client must find on the simulator.

Called with URL, script name, its key, and the key of `notify_coordinator`. Each function is one part; the last line printed
tells how many passed.
"""

import datetime
import json
import sys
import urllib.request

from shotgun_api3 import AuthenticationFault, Fault, ProtocolError, Shotgun, ShotgunError

URL, SCRIPT, KEY, OTHER_KEY = sys.argv[1:5]


def connect(**more):
    return Shotgun(URL, script_name=SCRIPT, api_key=KEY, **more)


def refused(call, *args, error=Fault, text=""):
    try:
        call(*args)
    except error as e:
        assert text in str(e), str(e)
        return e
    raise AssertionError("%r%r was not refused" % (call, args))


def control(**order):
    request = urllib.request.Request(
        URL + "/sim/control",
        json.dumps(order).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def events_after(sg, last, *more):
    fields = ["event_type", "attribute_name", "meta", "entity", "user", "project",
              "session_uuid", "created_at"]
    return sg.find("EventLogEntry", [["id", "greater_than", last]] + list(more), fields,
                   order=[{"column": "id", "direction": "asc"}])


def head(sg):
    last = sg.find_one("EventLogEntry", [], ["id"], order=[{"column": "id", "direction": "desc"}])
    return last["id"] if last else 0


def info_and_login(sg):
    assert sg.server_caps.version[:2] == (8, 89), sg.server_caps.version
    assert sg.info()["version"][0] == 8
    refused(Shotgun(URL, script_name=SCRIPT, api_key="wrong").find, "Shot", [],
            error=AuthenticationFault, text="Can't authenticate script 'slated'")
    refused(Shotgun(URL, login="nobody", password="x").find, "Shot", [],
            error=AuthenticationFault, text="Can't authenticate user 'nobody'")
    mira = Shotgun(URL, login="mira", password="anything")
    assert mira.find_one("HumanUser", [["login", "is", "mira"]])["type"] == "HumanUser"
    assert sg.authenticate_human_user("mira", "anything")["login"] == "mira"
    token = sg.get_session_token()
    assert Shotgun(URL, session_token=token).find_one("Project", [])


def find(sg):
    project = sg.find_one("Project", [["name", "is", "copper kettle"]], ["name"])
    assert project["name"] == "Copper Kettle"
    shots = sg.find("Shot", [["project", "is", project]], ["code", "sg_sequence", "tasks"])
    assert len(shots) == 12
    assert shots[0]["sg_sequence"]["name"] == "CK10"
    assert [t["name"] for t in shots[0]["tasks"]] == ["Animation", "Lighting", "Comp"]
    assert sg.find_one("Shot", [["code", "is", "no such shot"]]) is None


def filters(sg):
    def codes(*conditions, **more):
        return [s["code"] for s in sg.find("Shot", list(conditions), ["code"], **more)]

    assert codes(["code", "starts_with", "ck10"]) == ["CK10_010", "CK10_020", "CK10_030", "CK10_040"]
    assert codes(["code", "in", ["CK10_010", "CK20_010"]]) == ["CK10_010", "CK20_010"]
    assert codes(["sg_cut_out", "between", [1024, 1048]], ["code", "contains", "30_"]) == ["CK30_010", "CK30_020"]
    either = {"filter_operator": "any", "filters": [["code", "is", "CK10_010"], ["code", "is", "CK30_040"]]}
    assert codes(either) == ["CK10_010", "CK30_040"]
    assert len(codes(["sg_sequence.Sequence.code", "is", "CK20"])) == 4
    assert len(codes(["sg_sequence", "name_contains", "30"])) == 4
    assert len(codes(["description", "is", None])) == 12
    assert len(codes(["description", "is_not", "x"])) == 12
    assert len(codes(["code", "not_contains", "010"])) == 9
    tasks = sg.find("Task", [["entity", "type_is", "Asset"], ["step.Step.short_name", "is", "RIG"]])
    assert len(tasks) == 6
    shots = sg.find("Shot", [["$FROM$Version.entity.sg_status_list", "is", "rev"]])
    assert len(shots) == 6


def sorts_and_pages(sg):
    down = sg.find("Shot", [], ["code"], order=[{"field_name": "code", "direction": "desc"}])
    assert [s["code"] for s in down] == sorted((s["code"] for s in down), reverse=True)
    first = sg.find("Shot", [], ["code"], limit=5, page=1)
    second = sg.find("Shot", [], ["code"], limit=5, page=2)
    third = sg.find("Shot", [], ["code"], limit=5, page=3)
    assert [len(first), len(second), len(third)] == [5, 5, 2]
    assert len({s["id"] for s in first + second + third}) == 12
    # More rows than a page holds: the client follows has_next_page.
    control(do="largest_page", rows=7)
    small = connect()
    assert small.config.records_per_page == 7
    assert len(small.find("Shot", [])) == 12
    assert len(small.find("Shot", [], limit=9)) == 9
    control(do="largest_page", rows=500)


def create_and_events(sg):
    last = head(sg)
    project = sg.find_one("Project", [])
    shot = sg.create("Shot", {"code": "NEW_010", "project": project, "description": "größer"},
                     return_fields=["sg_status_list"])
    assert (shot["code"], shot["sg_status_list"]) == ("NEW_010", "wtg")
    assert shot["project"]["name"] == "Copper Kettle"
    rows = events_after(sg, last)
    assert [r["event_type"] for r in rows if r["attribute_name"] is None] == ["Shotgun_Shot_New"]
    changed = {r["attribute_name"]: r for r in rows if r["attribute_name"]}
    assert set(changed) == {"code", "project", "description", "sg_status_list"}
    assert changed["description"]["meta"]["new_value"] == "größer"
    for row in changed.values():
        assert row["meta"]["in_create"] and row["meta"]["old_value"] is None
        assert row["entity"] == {"type": "Shot", "id": shot["id"], "name": "NEW_010"}
        assert row["user"]["name"] == "slated" and row["project"]["name"] == "Copper Kettle"
        assert isinstance(row["created_at"], datetime.datetime)
        age = datetime.datetime.now(datetime.timezone.utc) - row["created_at"]
        assert abs(age.total_seconds()) < 60
    return shot


def update(sg):
    shot = sg.find_one("Shot", [["code", "is", "NEW_010"]], ["updated_at"])
    last = head(sg)
    sg.update("Shot", shot["id"], {"sg_status_list": "ip", "code": "NEW_010"})
    (row,) = events_after(sg, last)
    assert (row["meta"]["old_value"], row["meta"]["new_value"]) == ("wtg", "ip")
    assert row["meta"]["field_data_type"] == "status_list"
    refused(sg.update, "Shot", shot["id"], {"sg_status_list": "nonsense"}, text="sg_status_list")
    refused(sg.update, "Shot", 999999, {"code": "x"}, text="999999")
    refused(sg.update, "Shot", shot["id"], {"no_such": "x"}, text="Shot.no_such doesn't exist")


def multi_entity(sg):
    task = sg.find_one("Task", [], ["task_assignees"])
    ada, ben = sg.find("HumanUser", [["login", "in", ["ada", "ben"]]], ["login"])
    last = head(sg)
    sg.update("Task", task["id"], {"task_assignees": [ada, ben]}, {"task_assignees": "add"})
    (row,) = [r for r in events_after(sg, last) if r["entity"]["type"] == "Task"]
    assert [a["id"] for a in row["meta"]["added"]] == [ada["id"], ben["id"]], row
    assert row["meta"]["removed"] == [] and "new_value" not in row["meta"]
    sg.update("Task", task["id"], {"task_assignees": [ada]}, {"task_assignees": "remove"})
    now = sg.find_one("Task", [["id", "is", task["id"]]], ["task_assignees"])["task_assignees"]
    assert ben["id"] in [a["id"] for a in now] and ada["id"] not in [a["id"] for a in now]


def delete_and_revive(sg):
    task = sg.create("Task", {"content": "Short life", "project": sg.find_one("Project", [])})
    last = head(sg)
    assert sg.delete("Task", task["id"]) is True
    assert sg.delete("Task", task["id"]) is False
    assert sg.find_one("Task", [["id", "is", task["id"]]]) is None
    assert sg.find_one("Task", [["id", "is", task["id"]]], retired_only=True)["id"] == task["id"]
    change, retirement = events_after(sg, last)
    assert change["entity"] is None and change["meta"]["entity_id"] == task["id"]
    assert change["meta"]["new_value"].endswith(" UTC")
    assert retirement["event_type"] == "Shotgun_Task_Retirement"
    assert retirement["meta"]["type"] == "entity_retirement"
    assert sg.revive("Task", task["id"]) is True
    assert sg.revive("Task", task["id"]) is False
    rows = events_after(sg, last)
    assert rows[-1]["event_type"] == "Shotgun_Task_Revival"
    assert all(r["entity"]["name"] == "Short life" for r in rows)
    refused(sg.delete, "Task", 999999)


def batch(sg):
    project = sg.find_one("Project", [])
    made = sg.batch([
        {"request_type": "create", "entity_type": "Shot", "data": {"code": "B1", "project": project}},
        {"request_type": "create", "entity_type": "Shot", "data": {"code": "B2", "project": project}},
    ])
    assert [s["code"] for s in made] == ["B1", "B2"]
    last = head(sg)
    refused(sg.batch, [
        {"request_type": "update", "entity_type": "Shot", "entity_id": made[0]["id"], "data": {"code": "B1x"}},
        {"request_type": "create", "entity_type": "Shot", "data": {"no_such_field": 1}},
    ])
    assert sg.find_one("Shot", [["id", "is", made[0]["id"]]], ["code"])["code"] == "B1"
    assert head(sg) == last
    done = sg.batch([
        {"request_type": "update", "entity_type": "Shot", "entity_id": made[0]["id"], "data": {"code": "B1y"}},
        {"request_type": "delete", "entity_type": "Shot", "entity_id": made[1]["id"]},
    ])
    assert done[0]["code"] == "B1y" and done[1] is True


def summarize(sg):
    result = sg.summarize("Task", [["entity", "type_is", "Shot"]],
                          [{"field": "id", "type": "count"}],
                          grouping=[{"field": "content", "type": "exact", "direction": "desc"}])
    assert result["summaries"] == {"id": 36}, result
    assert [g["group_name"] for g in result["groups"]] == ["Lighting", "Comp", "Animation"]
    assert all(g["summaries"] == {"id": 12} for g in result["groups"])
    most = sg.summarize("Shot", [["code", "starts_with", "CK"]], [{"field": "sg_cut_out", "type": "maximum"}])
    assert most["summaries"] == {"sg_cut_out": 1096}


def schema(sg):
    whole = sg.schema_read()
    assert whole["Shot"]["code"]["data_type"]["value"] == "text"
    assert sg.schema_entity_read()["HumanUser"]["name"]["value"] == "Person"
    one = sg.schema_field_read("Task", "entity")["entity"]
    assert "Shot" in one["properties"]["valid_types"]["value"]
    name = sg.schema_field_create("Shot", "text", "Lens Pack")
    assert name == "sg_lens_pack"
    assert sg.schema_field_update("Shot", name, {"name": "Lenses"})
    assert sg.schema_field_read("Shot", name)[name]["name"]["value"] == "Lenses"
    shot = sg.find_one("Shot", [])
    assert sg.update("Shot", shot["id"], {name: "anamorphic"})[name] == "anamorphic"
    assert sg.schema_field_delete("Shot", name)
    assert sg.find_one("Shot", [], [name]).get(name) is None


def datetimes(sg):
    rows = sg.find("Shot", [["created_at", "in_last", [1, "HOUR"]]])
    assert len(rows) >= 12
    hour = datetime.datetime.now() - datetime.timedelta(hours=1)
    assert len(sg.find("Shot", [["created_at", "greater_than", hour]])) == len(rows)
    assert sg.find("Shot", [["created_at", "less_than", hour]]) == []
    assert len(sg.find("Shot", [["created_at", "in_calendar_year", 0]])) == len(rows)
    task = sg.create("Task", {"content": "Dated", "due_date": datetime.date(2030, 5, 17)})
    assert task["due_date"] == "2030-05-17"
    assert sg.find_one("Task", [["due_date", "is", datetime.date(2030, 5, 17)]])["id"] == task["id"]
    naive = Shotgun(URL, script_name=SCRIPT, api_key=KEY, convert_datetimes_to_utc=False)
    assert naive.find_one("Shot", [], ["created_at"])["created_at"].tzinfo is None


def faults(sg):
    refused(sg.find, "NoSuchType", [], text="NoSuchType")
    refused(sg.find, "Shot", [["foo", "is", 1]], text="API read() Shot.foo doesn't exist.")
    refused(sg.find, "Shot", [["code", "less_than", "x"]],
            text="API read() Shot.code's 'text' data type doesn't support 'less_than' 'relation'")
    refused(sg.find, "EventLogEntry", [["meta", "is", "x"]],
            text="API read() EventLogEntry.meta's 'serializable' data type cannot be used in a filter.")
    event = sg.create("EventLogEntry", {"event_type": "Studio_Render_Done", "description": "frame 7",
                                        "meta": {"frame": 7}, "project": sg.find_one("Project", [])})
    refused(sg.update, "EventLogEntry", event["id"], {"description": "x"})
    refused(sg.delete, "EventLogEntry", event["id"])
    mine = sg.find_one("EventLogEntry", [["event_type", "is", "studio_render_done"]], ["meta"])
    assert (mine["id"], mine["meta"]) == (event["id"], {"frame": 7})
    refused(sg.text_search, "abc", {"Shot": []}, text="is not simulated")


def sessions_and_sudo(sg):
    last = head(sg)
    uuid = "5a1d49b0-0c69-11e0-a24c-003048d17544"
    mine = connect()
    mine.set_session_uuid(uuid)
    shot = mine.find_one("Shot", [])
    mine.update("Shot", shot["id"], {"description": "session"})
    (row,) = events_after(sg, last, ["session_uuid", "is", uuid])
    assert row["session_uuid"] == uuid
    last = head(sg)
    as_ada = connect(sudo_as_login="ada")
    as_ada.update("Shot", shot["id"], {"description": "by ada"})
    (row,) = events_after(sg, last)
    assert row["user"]["name"] == "Ada Kowalska"
    assert row["meta"]["sudo_actual_user"]["name"] == "slated"
    refused(Shotgun(URL, login="mira", password="x", sudo_as_login="ada").find, "Shot", [],
            text="The user does not have permission to 'sudo':")
    refused(connect(sudo_as_login="nobody").find, "Shot", [], text="Cannot 'sudo'")


def silent_scripts(sg):
    me = sg.find_one("ApiUser", [["firstname", "is", "notify_coordinator"]])
    sg.update("ApiUser", me["id"], {"generate_event_log_entries": False})
    loud = sg.create("ApiUser", {"firstname": "loud"}, return_fields=["salted_password"])
    assert loud["salted_password"] == "*******"
    last = head(sg)
    note = sg.find_one("Note", [])
    silent = Shotgun(URL, script_name="notify_coordinator", api_key=OTHER_KEY)
    silent.update("Note", note["id"], {"subject": "Said quietly"})
    assert sg.find_one("Note", [["subject", "is", "said quietly"]])["id"] == note["id"]
    assert head(sg) == last


def back_references(sg):
    project, shot = sg.find_one("Project", []), sg.find_one("Shot", [["code", "is", "CK30_040"]])
    last = head(sg)
    task = sg.create("Task", {"content": "newtask", "project": project, "entity": shot})
    (back,) = events_after(sg, last, ["entity", "is", shot])
    assert (back["event_type"], back["attribute_name"]) == ("Shotgun_Shot_Change", "tasks")
    meta = back["meta"]
    assert meta["actual_attribute_changed"] == "Task.entity"
    assert (meta["entity_type"], meta["entity_id"]) == ("Task", task["id"])
    (origin,) = events_after(sg, last, ["attribute_name", "is", "entity"])
    assert meta["original_event_log_entry_id"] == origin["id"]
    tasks = sg.find_one("Shot", [["id", "is", shot["id"]]], ["tasks"])["tasks"]
    assert task["id"] in [t["id"] for t in tasks]


def following(sg):
    ada = sg.find_one("HumanUser", [["login", "is", "ada"]])
    shot = sg.find_one("Shot", [])
    assert sg.follow(ada, shot)["followed"]
    assert [u["id"] for u in sg.followers(shot)] == [ada["id"]]
    assert [e["id"] for e in sg.following(ada)] == [shot["id"]]
    assert sg.unfollow(ada, shot)["unfollowed"]
    assert sg.followers(shot) == []


def files(sg):
    shot = sg.find_one("Shot", [])
    sg = connect()
    sg.MAX_ATTEMPTS = 1
    refused(sg.upload, "Shot", shot["id"], __file__, error=ShotgunError, text="keeps no files")
    refused(sg.upload_thumbnail, "Shot", shot["id"], __file__, error=ShotgunError, text="keeps no files")


def broken_site(sg):
    def one_fault(effect, error, **more):
        control(do="fault", fault={"effect": effect, "times": 1})
        try:
            sg.find("Shot", [])
        except error as e:
            return e
        raise AssertionError("nothing happened: %r" % (effect,))

    assert one_fault({"status": {"code": 500}}, ProtocolError).errcode == 500
    assert one_fault({"status": {"code": 429}}, ProtocolError).errcode == 429
    assert one_fault("maintenance", ProtocolError).errcode == 503
    one_fault("auth_refused", AuthenticationFault)
    one_fault("html", AttributeError)
    one_fault("empty", AttributeError)
    one_fault({"reset": {"applied": False}}, ConnectionResetError)
    # A 502 and a connection that ends are tried again by the client itself ...
    control(do="fault", fault={"effect": {"status": {"code": 502}}, "times": 1})
    assert sg.find("Shot", [])
    control(do="fault", fault={"effect": {"close": {"applied": False}}, "times": 1})
    assert sg.find("Shot", [])
    # ... so that a create may happen twice.
    control(do="fault", fault={"effect": {"close": {"applied": True}}, "times": 1})
    sg.create("Shot", {"code": "TWICE"})
    assert len(sg.find("Shot", [["code", "is", "TWICE"]])) == 2
    one_fault("half_body", Exception)
    assert sg.find("Shot", [])


PARTS = [
    info_and_login, find, filters, sorts_and_pages, create_and_events, update, multi_entity,
    delete_and_revive, batch, summarize, schema, datetimes, faults, sessions_and_sudo,
    silent_scripts, back_references, following, files, broken_site,
]


def main():
    sg = connect()
    for part in PARTS:
        print(part.__name__, flush=True)
        part(sg)
    print("%d parts passed" % len(PARTS))


main()
