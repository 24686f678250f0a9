//! A small production, so that a plugin author has something to work on.
//!
//! Its shape is always the same, so that tests can name things; who is assigned to what
//! and which status it has depends on the seed.

use serde_json::{Value, json};

use super::Quiet;
use crate::{clock::Moment, link::Link, state::State};

/// First name, last name, login, group.
const PEOPLE: [(&str, &str, &str, &str); 8] = [
    ("Mira", "Okafor", "mira", "Artists"),
    ("Jonas", "Weber", "jonas", "Artists"),
    ("Zoë", "Lindqvist", "zoe", "Artists"),
    ("Tomás", "Herrera", "tomas", "Artists"),
    ("Priya", "Raman", "priya", "Artists"),
    ("Ada", "Kowalska", "ada", "Supervisors"),
    ("Ben", "Achterberg", "ben", "Supervisors"),
    ("Carla", "Nunes", "carla", "Coordination"),
];
const STEPS: [(&str, &str, &str); 7] = [
    ("Model", "MDL", "Asset"),
    ("Rig", "RIG", "Asset"),
    ("Layout", "LAY", "Shot"),
    ("Animation", "ANM", "Shot"),
    ("FX", "FX", "Shot"),
    ("Lighting", "LGT", "Shot"),
    ("Comp", "CMP", "Shot"),
];
const STATUSES: [(&str, &str); 9] = [
    ("wtg", "Waiting to Start"),
    ("rdy", "Ready to Start"),
    ("ip", "In Progress"),
    ("rev", "Pending Review"),
    ("apr", "Approved"),
    ("rej", "Rejected"),
    ("fin", "Final"),
    ("hld", "On Hold"),
    ("omt", "Omit"),
];
const ASSETS: [(&str, &str); 6] = [
    ("kettle", "Prop"),
    ("teapot", "Prop"),
    ("innkeeper", "Character"),
    ("fox", "Character"),
    ("inn", "Environment"),
    ("forest", "Environment"),
];

/// Fills the site.
pub(crate) fn production(state: &mut State, now: Moment) {
    let mut rng = fastrand::Rng::with_seed(state.rng.u64(..));
    let mut site = Quiet { state, now };
    let project = site.add(
        "Project",
        json!({"name": "Copper Kettle", "tank_name": "copper_kettle", "sg_status": "Active"}),
    );
    for (code, name) in STATUSES {
        site.add("Status", json!({"code": code, "name": name}));
    }
    let people = people(&mut site, &project);
    let artists = people.get(..5).unwrap_or_default();
    let steps: Vec<Link> = STEPS
        .iter()
        .map(|(name, short, kind)| {
            site.add(
                "Step",
                json!({"code": name, "short_name": short, "entity_type": kind}),
            )
        })
        .collect();
    let step = |name: &str| -> Value {
        let at = STEPS.iter().position(|(step, ..)| *step == name);
        at.and_then(|at| steps.get(at))
            .map_or(Value::Null, Link::value)
    };
    let mut task = |site: &mut Quiet<'_>, entity: &Link, name: &str| {
        let artist = rng.choice(artists).map(Link::value);
        let status = rng.choice(["wtg", "rdy", "ip"]).unwrap_or("wtg");
        let task = site.add(
            "Task",
            json!({
                "content": name,
                "entity": entity.value(),
                "project": project.value(),
                "step": step(name),
                "sg_status_list": status,
                "task_assignees": artist.iter().collect::<Vec<_>>(),
            }),
        );
        (task, artist.unwrap_or(Value::Null))
    };

    for (code, kind) in ASSETS {
        let asset = site.add(
            "Asset",
            json!({"code": code, "sg_asset_type": kind, "project": project.value()}),
        );
        task(&mut site, &asset, "Model");
        task(&mut site, &asset, "Rig");
    }
    for sequence_number in 1..=3_u32 {
        let sequence = site.add(
            "Sequence",
            json!({"code": format!("CK{sequence_number}0"), "project": project.value()}),
        );
        for shot_number in 1..=4_u32 {
            let code = format!("CK{sequence_number}0_{shot_number:02}0");
            let shot = site.add(
                "Shot",
                json!({
                    "code": code,
                    "project": project.value(),
                    "sg_sequence": sequence.value(),
                    "sg_cut_in": 1001,
                    "sg_cut_out": 1000 + 24 * shot_number,
                    "sg_status_list": "ip",
                }),
            );
            let (anim, artist) = task(&mut site, &shot, "Animation");
            task(&mut site, &shot, "Lighting");
            task(&mut site, &shot, "Comp");
            if shot_number > 2 {
                continue;
            }
            let version = site.add(
                "Version",
                json!({
                    "code": format!("{code}_anim_v001"),
                    "project": project.value(),
                    "entity": shot.value(),
                    "sg_task": anim.value(),
                    "user": artist,
                    "sg_status_list": "rev",
                }),
            );
            if shot_number == 1 {
                site.add(
                    "Note",
                    json!({
                        "subject": format!("Note on {code}_anim_v001"),
                        "content": "The fox lands too softly.",
                        "project": project.value(),
                        "note_links": [version.value(), shot.value()],
                        "user": people.get(5).map(Link::value),
                    }),
                );
            }
        }
    }
}

fn people(site: &mut Quiet<'_>, project: &Link) -> Vec<Link> {
    let mut groups: Vec<(&str, Link)> = Vec::new();
    let mut people = Vec::new();
    for (first, last, login, group) in PEOPLE {
        let known = groups.iter().find(|(name, _)| *name == group);
        let link = if let Some((_, link)) = known {
            link.clone()
        } else {
            let link = site.add("Group", json!({"code": group}));
            groups.push((group, link.clone()));
            link
        };
        people.push(site.add(
            "HumanUser",
            json!({
                "firstname": first,
                "lastname": last,
                "login": login,
                "email": format!("{login}@copper-kettle.example"),
                "groups": [link.value()],
                "projects": [project.value()],
            }),
        ));
    }
    people
}
