//! `slated reload`: the configuration is read again by the slated that runs.

use serde_json::json;

use super::common::ConfigArgs;
use crate::error::CommandError;
use crate::out;
use crate::view::ReloadView;
use crate::web::client::{self, Answer};

/// Have the running slated read its configuration again
///
/// The settings of plugins, how they wait for each other and the level of the log hold at once; plugins
/// that need it are loaded again, and no event is lost or doubled by that. What holds from the next start
/// on is named. A configuration that would not start changes nothing. A SIGHUP does the same.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    // Where the state stands, even if the file is wrong in another place by now, only it says.
    let config = args.config.load()?.config;
    let folder = &config.state.folder;
    let view: ReloadView = match client::post(folder, "/api/v1/reload", &json!({})).await? {
        Answer::Found(view) => view,
        Answer::Refused(why) => {
            let error = CommandError::configuration(why.error);
            return Err(match why.hint {
                Some(hint) => error.hint(hint),
                None => error,
            });
        }
        Answer::NoDaemon => {
            let error = format!("no slated runs on the state in {}", folder.display());
            return Err(CommandError::usage(error).hint(
                "`slated run` reads the configuration; one that runs on another `state.folder` reads it again at a SIGHUP",
            ));
        }
    };
    if args.json {
        return out::json(&view);
    }
    for warning in &view.warnings {
        out::talk(format!("warning: {warning}"));
    }
    out::line(view);
    Ok(())
}
