//! Which field of the linked entity shows a link from its other end.
//!
//! The public schema does not say it, so the pairs of a default site stand here. A link
//! whose pair is not listed is kept on one side only.

/// `(type, field, other type, other field)`; each holds in both directions.
const PAIRS: [(&str, &str, &str, &str); 26] = [
    ("Task", "entity", "Asset", "tasks"),
    ("Task", "entity", "Element", "tasks"),
    ("Task", "entity", "Project", "tasks"),
    ("Task", "entity", "Scene", "tasks"),
    ("Task", "entity", "Sequence", "tasks"),
    ("Task", "entity", "Shot", "tasks"),
    ("Task", "upstream_tasks", "Task", "downstream_tasks"),
    ("Note", "tasks", "Task", "notes"),
    ("Note", "replies", "Reply", "entity"),
    ("Shot", "sg_sequence", "Sequence", "shots"),
    ("Shot", "sg_scene", "Scene", "shots"),
    ("Shot", "shots", "Shot", "parent_shots"),
    ("Asset", "shots", "Shot", "assets"),
    ("Asset", "sequences", "Sequence", "assets"),
    ("Asset", "scenes", "Scene", "assets"),
    ("Asset", "assets", "Asset", "parents"),
    ("Asset", "elements", "Element", "assets"),
    ("Element", "shots", "Shot", "elements"),
    ("Playlist", "versions", "Version", "playlists"),
    ("Group", "users", "HumanUser", "groups"),
    ("Department", "users", "HumanUser", "department"),
    ("Project", "users", "HumanUser", "projects"),
    ("PublishedFile", "version", "Version", "published_files"),
    (
        "PublishedFile",
        "upstream_published_files",
        "PublishedFile",
        "downstream_published_files",
    ),
    (
        "TankPublishedFile",
        "upstream_tank_published_files",
        "TankPublishedFile",
        "downstream_tank_published_files",
    ),
    (
        "PipelineConfiguration",
        "users",
        "HumanUser",
        "pipeline_configurations",
    ),
];

/// Returns the field of `target` that mirrors `kind.field`, if there is one.
pub(crate) fn reverse_field(kind: &str, field: &str, target: &str) -> Option<&'static str> {
    // Note.note_links can point at anything that has notes; a Task is linked by Note.tasks.
    if kind == "Note" && field == "note_links" && target != "Task" {
        return Some("notes");
    }
    if field == "notes" && kind != "Task" && target == "Note" {
        return Some("note_links");
    }
    PAIRS.iter().find_map(|&(a, f, b, g)| {
        if (a, f, b) == (kind, field, target) {
            Some(g)
        } else if (b, g, a) == (kind, field, target) {
            Some(f)
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schema;

    #[test]
    fn every_pair_stands_in_the_schema() {
        let schema = Schema::embedded();
        for (a, f, b, g) in PAIRS {
            assert!(schema.field(a, f).is_some(), "{a}.{f}");
            assert!(schema.field(b, g).is_some(), "{b}.{g}");
        }
    }

    #[test]
    fn a_pair_works_from_both_ends() {
        assert_eq!(reverse_field("Task", "entity", "Shot"), Some("tasks"));
        assert_eq!(reverse_field("Shot", "tasks", "Task"), Some("entity"));
        assert_eq!(
            reverse_field("Note", "note_links", "Version"),
            Some("notes")
        );
        assert_eq!(
            reverse_field("Version", "notes", "Note"),
            Some("note_links")
        );
        assert_eq!(reverse_field("Task", "notes", "Note"), Some("tasks"));
        assert_eq!(reverse_field("Task", "step", "Step"), None);
    }
}
