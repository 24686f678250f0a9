//! `matchEvents` from the plugin's Python to the daemon's matcher, against a second reading of the
//! rules in the interpreter itself: `reference.py`.
//!
//! `SLATED_TEST_PYTHON` names the Python; without it `python3` is used. `SLATED_FILTER_CASES` draws
//! more filters than CI does, `SLATED_FILTER_SEED` others.

#[cfg(test)]
mod drawn;
#[cfg(test)]
mod lines;
#[cfg(test)]
mod reference;
