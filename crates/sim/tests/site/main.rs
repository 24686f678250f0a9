//! The simulated site from outside: what it answers, what it writes down, and what goes wrong
//! on command.

#[cfg(test)]
mod http;
#[cfg(test)]
mod log;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod writing;
