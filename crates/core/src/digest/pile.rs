//! What happened in one group since its last letter: a count, its ends, and two examples.

use slated_model::EventId;

/// Something that is told as an example of others.
pub trait Example {
    /// About how many bytes it takes.
    fn size(&self) -> usize;
    /// Leaves out all but what is in a line, since there is no room.
    fn shorten(&mut self);
}

/// Things that are alike.
#[derive(Clone, Debug)]
pub struct Pile<T> {
    /// How many there are; never 0.
    pub count: u64,
    /// When the oldest and the newest happened, in milliseconds since 1970.
    pub span_ms: (i64, i64),
    /// The oldest and the newest event they are about, in the order they came.
    pub events: Option<(EventId, EventId)>,
    /// The oldest.
    pub first: T,
    /// The newest of several.
    pub last: Option<T>,
}

impl<T: Example> Pile<T> {
    pub(super) const fn new(event: Option<EventId>, at_ms: i64, example: T) -> Self {
        Self {
            count: 1,
            span_ms: (at_ms, at_ms),
            events: match event {
                Some(event) => Some((event, event)),
                None => None,
            },
            first: example,
            last: None,
        }
    }

    /// Adds those that came later.
    pub(super) fn append(&mut self, later: Self, room: usize) {
        self.count = self.count.saturating_add(later.count);
        self.span_ms.1 = later.span_ms.1;
        self.events = match (self.events, later.events) {
            (Some((first, _)), Some((_, last))) => Some((first, last)),
            (ours, theirs) => ours.or(theirs),
        };
        let mut last = later.last.unwrap_or(later.first);
        let freed = self.last.as_ref().map_or(0, Example::size);
        if last.size() > room + freed {
            last.shorten();
        }
        self.last = Some(last);
    }

    /// Shortens examples that there is no room for.
    pub(super) fn within(mut self, mut room: usize) -> Self {
        for example in [Some(&mut self.first), self.last.as_mut()]
            .into_iter()
            .flatten()
        {
            if example.size() > room {
                example.shorten();
            }
            room = room.saturating_sub(example.size());
        }
        self
    }

    /// Returns about how many bytes its examples take.
    pub(super) fn size(&self) -> usize {
        self.first.size() + self.last.as_ref().map_or(0, Example::size)
    }
}
