//! Aged event rows: what a log looks like that has been in use. Old windows of real logs
//! are dense, so no id is left out.

use std::{ops::RangeInclusive, time::Duration};

use serde_json::{Value, json};

use crate::{
    clock::Moment,
    link::Link,
    log::{EventRow, Shown},
    state::State,
};

/// Which event types aged rows have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mix {
    /// As on an ordinary day: mostly changes of tasks and versions.
    #[default]
    Ordinary,
    /// Eight types, each as often as the others: what work that is shared out is measured on.
    Even,
}

impl Mix {
    /// One draw of each type of the even mix, in hundredths of an ordinary day.
    const EVEN: [u8; 8] = [0, 40, 50, 62, 70, 76, 84, 88];

    fn draw(self, rng: &mut fastrand::Rng) -> u8 {
        match self {
            Self::Ordinary => rng.u8(0..100),
            Self::Even => rng.choice(Self::EVEN).unwrap_or_default(),
        }
    }
}

/// What the rows are about.
struct Cast {
    tasks: Vec<Link>,
    versions: Vec<Link>,
    shots: Vec<Link>,
    assets: Vec<Link>,
    notes: Vec<Link>,
    people: Vec<Link>,
    project: Value,
}

/// Appends `count` rows, spread evenly over the last `age`.
pub(crate) fn events(
    state: &mut State,
    now: Moment,
    count: u64,
    age: Duration,
    mix: Mix,
) -> Option<RangeInclusive<u64>> {
    let cast = Cast::of(state);
    let mut rng = fastrand::Rng::with_seed(state.rng.u64(..));
    let first = state.data.log.next_id();
    for number in 0..count {
        let share = (count - number) as f64 / count as f64;
        let at = now.long_ago(age.mul_f64(share));
        let row = cast.row(&mut rng, at, mix);
        state.append_raw(row, Shown::At(at), at);
    }
    let last = state.data.log.next_id() - 1;
    (count > 0).then_some(first..=last)
}

impl Cast {
    fn of(state: &State) -> Self {
        let links = |kind: &str| -> Vec<Link> {
            let rows = state.data.tables.active(kind);
            rows.map(|row| Link::new(kind, row.id)).collect()
        };
        let project = links("Project").first().map_or(Value::Null, Link::value);
        Self {
            tasks: links("Task"),
            versions: links("Version"),
            shots: links("Shot"),
            assets: links("Asset"),
            notes: links("Note"),
            people: links("HumanUser"),
            project,
        }
    }

    fn row(&self, rng: &mut fastrand::Rng, at: Moment, mix: Mix) -> EventRow {
        let user = pick(rng, &self.people, "HumanUser");
        let (subject, event_type, attribute, meta) = match mix.draw(rng) {
            0..30 => change(
                pick(rng, &self.tasks, "Task"),
                "sg_status_list",
                "status_list",
                ("rdy", "ip"),
            ),
            30..40 => {
                let task = pick(rng, &self.tasks, "Task");
                let meta = json!({
                    "type": "attribute_change", "attribute_name": "task_assignees",
                    "entity_type": "Task", "entity_id": task.id, "field_data_type": "multi_entity",
                    "added": [{"type": "HumanUser", "id": user.id, "status": "act", "valid": "valid"}],
                    "removed": [],
                });
                (
                    task,
                    "Shotgun_Task_Change".into(),
                    Some("task_assignees"),
                    meta,
                )
            }
            40..50 => new(pick(rng, &self.versions, "Version")),
            50..62 => change(
                pick(rng, &self.versions, "Version"),
                "sg_status_list",
                "status_list",
                ("rev", "apr"),
            ),
            62..70 => change(
                pick(rng, &self.shots, "Shot"),
                "sg_cut_out",
                "number",
                ("1024", "1048"),
            ),
            70..76 => change(
                pick(rng, &self.assets, "Asset"),
                "description",
                "text",
                ("", "wider brim"),
            ),
            76..84 => new(pick(rng, &self.notes, "Note")),
            84..88 => new(pick(rng, &self.tasks, "Task")),
            88..93 => {
                let note = pick(rng, &self.notes, "Note");
                let meta = json!({
                    "type": "attribute_change", "attribute_name": "read_by_current_user",
                    "entity_id": note.id, "old_value": "unread", "new_value": "read",
                });
                (
                    note,
                    "Shotgun_Reading_Change".into(),
                    Some("read_by_current_user"),
                    meta,
                )
            }
            93..97 => {
                let meta = json!({"type": "login"});
                (user.clone(), "Shotgun_User_Login".into(), None, meta)
            }
            _ => {
                let version = pick(rng, &self.versions, "Version");
                let meta = json!({
                    "type": "attribute_change", "attribute_name": "image",
                    "entity_type": "Version", "entity_id": version.id, "field_data_type": "image",
                    "is_transient": false, "old_value": null, "new_value": rng.u32(1000..9000),
                });
                (
                    version,
                    "Shotgun_Version_Change".into(),
                    Some("image"),
                    meta,
                )
            }
        };
        EventRow {
            event_type: Value::String(event_type),
            attribute_name: attribute.map_or(Value::Null, Value::from),
            meta,
            entity: subject.value(),
            project: self.project.clone(),
            user: user.value(),
            session_uuid: Value::Null,
            created_at: at.date_time().into(),
            description: Value::Null,
        }
    }
}

type Drawn = (Link, String, Option<&'static str>, Value);

fn pick(rng: &mut fastrand::Rng, links: &[Link], kind: &str) -> Link {
    // On a site without a production the row is about something that is gone.
    rng.choice(links)
        .cloned()
        .unwrap_or_else(|| Link::new(kind, 1))
}

fn new(subject: Link) -> Drawn {
    let meta = json!({
        "type": "new_entity", "entity_type": subject.kind, "entity_id": subject.id,
    });
    let event_type = format!("Shotgun_{}_New", subject.kind);
    (subject, event_type, None, meta)
}

fn change(
    subject: Link,
    attribute: &'static str,
    data_type: &str,
    (old, new): (&str, &str),
) -> Drawn {
    let value = |text: &str| {
        text.parse::<i64>()
            .map_or_else(|_| json!(text), Value::from)
    };
    let meta = json!({
        "type": "attribute_change", "attribute_name": attribute,
        "entity_type": subject.kind, "entity_id": subject.id, "field_data_type": data_type,
        "old_value": value(old), "new_value": value(new),
    });
    let event_type = format!("Shotgun_{}_Change", subject.kind);
    (subject, event_type, Some(attribute), meta)
}
