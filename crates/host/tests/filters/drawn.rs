//! Filters and events as chance draws them.

use slated_model::AttributeRule;

use crate::reference::{Told, ask};

/// Filters to draw; each is tried with ten events.
const FILTERS: usize = 400;

#[test]
fn drawn_filters_take_what_a_reading_of_the_rules_takes() {
    let filters = std::env::var("SLATED_FILTER_CASES").map_or(FILTERS, |n| n.parse().unwrap());
    let seed = std::env::var("SLATED_FILTER_SEED").unwrap_or_else(|_| "1".into());
    let told = ask(&["draw", &seed, &filters.to_string()], "");
    assert_eq!(told.len(), filters);
    let count = |fits: &dyn Fn(&Told) -> bool| told.iter().filter(|t| fits(t)).count();
    let has = |fits: fn(&AttributeRule) -> bool| {
        count(&|t| {
            t.rules
                .iter()
                .any(|matcher| matcher.rules().values().any(fits))
        })
    };
    for one in &told {
        one.check();
    }
    // What was drawn is no desert: every kind of rule, refusals, and both answers in plenty.
    let answers = |wanted| {
        let all = told.iter().flat_map(|t| &t.events);
        all.filter(|(.., answer)| *answer == wanted).count()
    };
    let seen = [
        has(|rule| matches!(rule, AttributeRule::Any(_))),
        has(|rule| matches!(rule, AttributeRule::Attrs(_))),
        has(|rule| matches!(rule, AttributeRule::Substring(_))),
        count(&|t| t.refused),
        answers(true) / 10,
        answers(false) / 10,
    ];
    assert!(seen.iter().all(|n| *n * 50 >= filters), "{seen:?}");
}
