//! slated: an event daemon for Flow Production Tracking (ShotGrid).
//!
//! The way of an event can be followed by file names: `daemon/intake` reads the site into the log,
//! `daemon/dispatch` leads it through the lanes, `daemon/workers` hands it to plugins,
//! `daemon/journal` puts the outcome on record. `commands/` has one file for each command, `web/`
//! the control socket, `tell` what people hear, `view` what they see, `service` what a service manager
//! hears, `shadow` what is seen beside the Python daemon. Only this crate prints.

mod cli;
mod clock;
mod commands;
mod daemon;
mod detach;
mod end;
mod error;
mod out;
mod pid_file;
mod process;
mod python_daemon;
mod service;
mod shadow;
mod signals;
mod standby;
mod tell;
mod view;
mod web;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        Err(error) => {
            out::error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
