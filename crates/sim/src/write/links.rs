//! Both ends of a link: what is written on one side shows on the other.

use serde_json::Value;

use super::Writer;
use crate::{
    link::Link,
    schema::{DataType, reverse_field},
};

impl Writer<'_> {
    /// Brings the other ends of a changed link up to date and tells of each.
    pub(super) fn mirror(
        &mut self,
        subject: &Link,
        name: &str,
        data_type: DataType,
        (removed, added): (&[Link], &[Link]),
        origin: (Option<u64>, bool),
    ) {
        let ends = removed.iter().map(|l| (l, false));
        for (other, is_added) in ends.chain(added.iter().map(|l| (l, true))) {
            let Some(field) = reverse_field(&subject.kind, name, &other.kind) else {
                continue;
            };
            if self.set_end(other, field, (subject, name), is_added) {
                self.tell_back_reference(
                    (other, field),
                    (subject, name, data_type),
                    is_added,
                    origin,
                );
            }
        }
    }

    /// Writes one end; tells whether that changed anything.
    fn set_end(&mut self, at: &Link, field: &str, from: (&Link, &str), add: bool) -> bool {
        let (subject, name) = from;
        let single = self
            .data
            .schema
            .field(&at.kind, field)
            .is_some_and(|f| f.data_type == DataType::Entity);
        let Some(row) = self.data.tables.row_mut(&at.kind, at.id) else {
            return false;
        };
        let old = row.field(field).clone();
        let new = match (single, add) {
            (true, true) => subject.value(),
            (true, false) if subject.is(&old) => Value::Null,
            (true, false) => return false,
            (false, true) if row.list(field).iter().any(|link| subject.is(link)) => return false,
            (false, _) => {
                let mut list = row.list(field).to_vec();
                list.retain(|link| !subject.is(link));
                if add {
                    list.push(subject.value());
                }
                Value::Array(list)
            }
        };
        if old == new {
            return false;
        }
        row.set(field, new);
        // A field with room for one link gave up another: take it from there as well.
        if let (true, true, Some(lost)) = (single, add, Link::of(&old))
            && let Some(row) = self.data.tables.row_mut(&lost.kind, lost.id)
        {
            let mut list = row.list(name).to_vec();
            list.retain(|link| !at.is(link));
            row.set(name, Value::Array(list));
        }
        true
    }
}
