//! The data types of fields.

use serde::{Deserialize, Serialize};

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DataType {
    Checkbox,
    Color,
    Currency,
    Date,
    DateTime,
    Duration,
    Entity,
    EntityType,
    Float,
    Footage,
    Image,
    List,
    MultiEntity,
    Number,
    Password,
    Percent,
    PivotColumn,
    Serializable,
    StatusList,
    Summary,
    TagList,
    Text,
    Timecode,
    Url,
    Uuid,
}

impl DataType {
    /// Returns the name the site uses.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Checkbox => "checkbox",
            Self::Color => "color",
            Self::Currency => "currency",
            Self::Date => "date",
            Self::DateTime => "date_time",
            Self::Duration => "duration",
            Self::Entity => "entity",
            Self::EntityType => "entity_type",
            Self::Float => "float",
            Self::Footage => "footage",
            Self::Image => "image",
            Self::List => "list",
            Self::MultiEntity => "multi_entity",
            Self::Number => "number",
            Self::Password => "password",
            Self::Percent => "percent",
            Self::PivotColumn => "pivot_column",
            Self::Serializable => "serializable",
            Self::StatusList => "status_list",
            Self::Summary => "summary",
            Self::TagList => "tag_list",
            Self::Text => "text",
            Self::Timecode => "timecode",
            Self::Url => "url",
            Self::Uuid => "uuid",
        }
    }
    /// Tells whether the field holds a number that can be ordered.
    pub(crate) const fn is_number(self) -> bool {
        matches!(
            self,
            Self::Currency
                | Self::Duration
                | Self::Float
                | Self::Number
                | Self::Percent
                | Self::Timecode
        )
    }
    /// Tells whether the field holds a date or a point in time.
    pub(crate) const fn is_time(self) -> bool {
        matches!(self, Self::Date | Self::DateTime)
    }
    /// Tells whether the field points to other entities.
    pub(crate) const fn is_link(self) -> bool {
        matches!(self, Self::Entity | Self::MultiEntity)
    }
    /// Tells whether nobody can write the field because the site computes it.
    pub(crate) const fn is_computed(self) -> bool {
        matches!(self, Self::PivotColumn | Self::Summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back() {
        for name in ["multi_entity", "date_time", "status_list", "pivot_column"] {
            let parsed: DataType = serde_json::from_value(name.into()).unwrap();
            assert_eq!(parsed.name(), name);
        }
    }
}
