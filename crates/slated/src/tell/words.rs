//! The words of each fact: one sentence, and below it what Python said.

use std::fmt;

use slated_core::lane::Leave;
use slated_core::recycle::Why;
use slated_model::PluginId;

use super::Fact;
use crate::view::letters_are;

/// A text of several lines, below the sentence it belongs to; nothing if there is none.
struct Below<'a>(&'a str);

impl fmt::Display for Below<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.trim_end() {
            "" => Ok(()),
            text => write!(f, "\n{text}"),
        }
    }
}

/// Names, with commas between them.
struct List<'a>(&'a [PluginId]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            write!(f, "{}{name}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// What runs while new code does not.
const fn meanwhile(kept_old: bool) -> &'static str {
    if kept_old {
        "the code that ran before keeps running"
    } else {
        "the other plugins run"
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SiteRead { url, high } => write!(f, "Following {url} from event {high}."),
            Self::SiteFailed { error, hint, .. } => {
                write!(f, "{error}; nothing is lost, slated keeps asking.")?;
                hint.map_or(Ok(()), |hint| write!(f, " Hint: {hint}"))
            }
            Self::AnchorLost { detail, hint } => {
                write!(
                    f,
                    "The site is not the one that was followed: {detail}. Nothing more is read until a person decides; plugins go on with what the log has."
                )?;
                hint.map_or(Ok(()), |hint| write!(f, " Hint: {hint}"))
            }
            Self::SiteDecided { detail } => write!(f, "A person decided about the site. {detail}"),
            Self::EventSeen { event, late } => {
                let head = &event.head;
                let what = head.event_type.as_deref().unwrap_or("(no type)");
                write!(f, "Event {} {what}", event.id)?;
                if let Some(attribute) = &head.attribute_name {
                    write!(f, " {attribute}")?;
                }
                f.write_str(if *late { " (late)." } else { "." })
            }
            Self::RowUnreadable { event } => {
                write!(
                    f,
                    "Event {event} cannot be read; it is kept as it came, and the stream goes on."
                )
            }
            Self::PluginReady {
                plugin,
                callbacks,
                warnings,
                pid,
                ..
            } => {
                let s = if *callbacks == 1 { "" } else { "s" };
                write!(
                    f,
                    "{plugin}: ready with {callbacks} callback{s} (process {pid})."
                )?;
                warnings.iter().try_for_each(|w| write!(f, " Warning: {w}"))
            }
            Self::PluginBroken {
                plugin,
                place,
                traceback,
                kept_old,
            } => {
                let then = meanwhile(*kept_old);
                write!(
                    f,
                    "{plugin}: does not load: {place}; {then}.{}",
                    Below(traceback)
                )
            }
            Self::ProcessRefused { plugin, error } => {
                write!(
                    f,
                    "{plugin}: the system refused a process, and is asked again: {error}."
                )
            }
            Self::NotPreloaded { plugin, note } => write!(f, "{plugin}: {note}."),
            Self::PluginUnstartable {
                plugin,
                error,
                kept_old,
            } => write!(
                f,
                "{plugin}: its process cannot be started: {error}; {}. When that is mended, `slated reload` tries again, and so does an edit or a touch of its file.",
                meanwhile(*kept_old)
            ),
            Self::PluginUnlucky { plugin, message } => {
                write!(
                    f,
                    "{plugin}: could not be loaded just now, and is tried again: {message}"
                )
            }
            Self::PluginQuarantined { plugin } => write!(
                f,
                "{plugin}: its process died more than 5 times in 10 minutes; it is quarantined until its file is edited or touched, or `slated plugin resume`."
            ),
            Self::PluginFile { plugin, what } => write!(f, "{plugin}: its file {what}."),
            Self::HelperChanged { plugin, path } => {
                write!(f, "{plugin}: {path}, which it imports, changed.")
            }
            Self::Recycled { plugin, why } => match why {
                Why::Calls(calls) => write!(
                    f,
                    "{plugin}: its process has run {calls} calls and is replaced (`recycle_after`)."
                ),
                Why::Memory { resident, limit } => write!(
                    f,
                    "{plugin}: its process holds {} MiB, close to its `memory_limit` of {} MiB, and is replaced.",
                    resident >> 20,
                    limit >> 20
                ),
            },
            Self::PluginMoved { from, to } => {
                write!(
                    f,
                    "{to}: was {from} before, and goes on where that one stood."
                )
            }
            Self::FileUnreadable { plugin, error } => {
                write!(
                    f,
                    "{plugin}: its file cannot be read ({error}); the plugin stays as it is."
                )
            }
            Self::FolderReadable { folder } => {
                write!(f, "Plugins folder {folder} can be read again.")
            }
            Self::FolderUnreadable { folder, error } => {
                write!(
                    f,
                    "Plugins folder {folder} cannot be read ({error}); its plugins stay as they are."
                )
            }
            Self::WorkerDied {
                plugin,
                end,
                last_words,
            } => {
                write!(
                    f,
                    "{plugin}: its process died ({end}).{}",
                    Below(last_words)
                )
            }
            // As the Python daemon words it: people search for it.
            Self::Dispatched {
                callback, event, ..
            } => write!(f, "Dispatching event {event} to callback {callback}."),
            Self::CallbackDone {
                plugin,
                callback,
                event,
                us,
                attempt,
            } => {
                write!(
                    f,
                    "{plugin}.{callback}: event {event} done in {:.1} ms",
                    *us as f64 / 1000.0
                )?;
                if *attempt > 1 {
                    write!(f, " at attempt {attempt}.")
                } else {
                    f.write_str(".")
                }
            }
            Self::CallbackRetried {
                plugin,
                callback,
                event,
                failure,
                failed,
                wait,
                aside,
            } => {
                let how = if *aside {
                    "the plugin goes on meanwhile"
                } else {
                    "the plugin waits"
                };
                write!(
                    f,
                    "{plugin}.{callback}: event {event} failed (attempt {failed}): {}. Again in {:.1} s; {how}.",
                    failure.summary(),
                    wait.as_secs_f64()
                )
            }
            Self::LaneAwaitsSite {
                plugin,
                callback,
                event,
                failure,
            } => write!(
                f,
                "{plugin}.{callback}: event {event} waits for the site: {}.",
                failure.summary()
            ),
            Self::DeadLetter {
                plugin,
                callback,
                event,
                failure,
                attempts,
            } => write!(
                f,
                "{plugin}.{callback}: event {event} failed for good after {attempts} attempt(s) and is a dead letter: {}.{}",
                failure.summary(),
                Below(&failure.traceback)
            ),
            Self::FailureLogged {
                plugin,
                callback,
                event,
                failure,
            } => write!(
                f,
                "{plugin}.{callback}: event {event} failed: {}.{}",
                failure.summary(),
                Below(&failure.traceback)
            ),
            Self::PluginHeld {
                plugin,
                hold,
                failure,
            } => {
                write!(f, "{plugin}: held")?;
                if let (Some(event), Some(callback)) = (hold.event, &hold.callback) {
                    write!(f, " at event {event} in {callback}")?;
                }
                write!(f, ": {}.", hold.reason)?;
                let name = plugin.stem();
                match hold.event {
                    Some(_) => write!(
                        f,
                        " Edit or touch its file, or `slated plugin resume {name}`, to go on with that event."
                    )?,
                    None => write!(
                        f,
                        " `slated plugin resume {name} --from latest`, or `--from ID`, ends it; `slated replay --plugin {name}` runs what the log does not hold."
                    )?,
                }
                failure
                    .as_ref()
                    .map_or(Ok(()), |x| write!(f, "{}", Below(&x.traceback)))
            }
            Self::PluginResumed { plugin } => write!(f, "{plugin}: goes on."),
            Self::PluginStopped { plugin } => write!(
                f,
                "{plugin}: stopped by a person; callbacks in flight finish, and only `slated plugin resume` starts it."
            ),
            Self::PluginSkipped { plugin, rows } => {
                let s = if *rows == 1 { "" } else { "s" };
                write!(f, "{plugin}: skips {rows} event{s}, as a person chose.")
            }
            Self::EventSkipped { plugin, event } => {
                write!(
                    f,
                    "{plugin}: does not get event {event}, as a person chose."
                )
            }
            Self::PluginRewound { plugin, rows } => {
                let s = if *rows == 1 { "" } else { "s" };
                write!(f, "{plugin}: goes back {rows} event{s}, as a person chose.")
            }
            Self::AttemptLost {
                plugin,
                callback,
                event,
            } => write!(
                f,
                "{plugin}.{callback}: the log no longer holds event {event}; its retry is discarded."
            ),
            Self::StillQuarantined { plugin } => write!(
                f,
                "{plugin}: is quarantined since before the restart, and is not started. Edit or touch its file, or `slated plugin resume {}`.",
                plugin.stem()
            ),
            Self::LettersRetried { plugin, letters } => write!(
                f,
                "{plugin}: {} tried again, as a person asked.",
                letters_are(*letters)
            ),
            Self::LettersDiscarded { plugin, letters } => write!(
                f,
                "{plugin}: {} discarded, as a person asked.",
                letters_are(*letters)
            ),
            Self::LeftLine {
                plugin,
                why: Leave::LongCall,
            } => write!(
                f,
                "{plugin}: a call takes longer than `order_wait`; other plugins do not wait for it until it has caught up."
            ),
            Self::LeftLine {
                plugin,
                why: Leave::SlowEnd,
            } => write!(
                f,
                "{plugin}: its old process takes longer than `order_wait` to end; other plugins do not wait for it until the new one has caught up."
            ),
            Self::LeftLine { plugin, .. } => write!(
                f,
                "{plugin}: other plugins do not wait for it until it has caught up."
            ),
            Self::InLine { plugin } => {
                write!(
                    f,
                    "{plugin}: has caught up; other plugins wait for it again."
                )
            }
            Self::WentAhead {
                plugin,
                event,
                without,
            } => write!(
                f,
                "{plugin}: takes event {event} before {}: it waited for `order_wait`.",
                List(without)
            ),
            Self::BeginsWithout { plugins } => write!(
                f,
                "Events are handed out from now on, though after 30 s not every plugin is loaded: {}.",
                List(plugins)
            ),
            Self::AttemptDropped {
                plugin,
                callback,
                event,
            } => write!(
                f,
                "{plugin}.{callback}: no longer registered; its retry of event {event} is discarded."
            ),
            Self::CallbackSlow {
                plugin,
                callback,
                event,
                after,
                stack,
            } => write!(
                f,
                "{plugin}.{callback}: event {event} has been running for {:.0} s.{}",
                after.as_secs_f64(),
                Below(stack)
            ),
            Self::PluginLog {
                logger, message, ..
            } => write!(f, "{logger}: {message}"),
            Self::PluginPrinted { plugin, line } => write!(f, "{plugin} printed: {line}"),
            Self::PluginPlaced { plugin, after } => {
                write!(f, "{plugin}: new; gets what comes after event {after}.")
            }
            Self::PlaceUnknown { plugin, error } => write!(
                f,
                "{plugin}: the site did not say which event it begins with, and is asked again: {error}"
            ),
            Self::Stopping { busy: 0 } => f.write_str("Stopping."),
            Self::Stopping { busy } => {
                write!(f, "Stopping; {busy} callback(s) in flight may finish.")
            }
            Self::LettersExpired { letters } => {
                let s = if *letters == 1 { "" } else { "s" };
                write!(
                    f,
                    "{letters} dead letter{s} discarded: they are kept for 30 days, and 10,000 of a plugin."
                )
            }
            Self::StateLarge {
                size,
                alarm,
                held_back_by,
            } => {
                let gb = |bytes: &u64| *bytes as f64 / 1e9;
                write!(
                    f,
                    "The state is {:.1} GB large (`state.alarm_size` is {:.1} GB).",
                    gb(size),
                    gb(alarm)
                )?;
                match held_back_by {
                    Some(plugin) => write!(
                        f,
                        " {plugin} keeps old events from going: it has not handled them. `slated plugin show {}` says why.",
                        plugin.stem()
                    ),
                    None => f.write_str(
                        " Nothing keeps old events: `state.keep_events` is long for this site.",
                    ),
                }
            }
            Self::StateFailed { error } => write!(
                f,
                "{error}. Nothing is read from the site and no plugin is called until it can be written again; slated tries every two seconds."
            ),
            Self::StateMended => {
                f.write_str("The state can be written again; everything goes on.")
            }
            Self::MailFailed {
                server,
                error,
                hint,
            } => {
                write!(
                    f,
                    "No mail goes out by {server}: {error}. What is to be mailed waits; slated tries again."
                )?;
                hint.map_or(Ok(()), |hint| write!(f, " Hint: {hint}"))
            }
            Self::MailMended { server } => write!(f, "Mail goes out by {server} again."),
            Self::MailRefused { to, error, some } => {
                let what = if *some {
                    "is not taken for all of them"
                } else {
                    "is refused, and tried again"
                };
                write!(f, "Mail to {} {what}: {error}.", to.join(", "))
            }
            Self::MailAddress { whose, error } => write!(f, "{whose} {error}; it gets no mail."),
            Self::MailGivenUp { subject, why } => {
                write!(f, "The mail {subject:?} is given up: {why}.")
            }
            Self::MailDropped { dropped } => write!(
                f,
                "{dropped} errors are not mailed: more came than could be taken in. They are in the log."
            ),
            Self::MailLeft { left, error } => {
                let s = if *left == 1 { "" } else { "s" };
                write!(f, "{left} error{s} could not be mailed before the end")?;
                match error {
                    Some(error) => write!(f, ": {error}."),
                    None => f.write_str(": there was no time."),
                }
            }
            Self::Alerted { text, .. } => write!(f, "Alert: {text}"),
            Self::WebhookFailed { host, error } => write!(
                f,
                "The webhook at {host} takes no alerts: {error}. They wait; slated tries again."
            ),
            Self::WebhookMended { host } => {
                write!(f, "The webhook at {host} takes alerts again.")
            }
            Self::WebhookRefused { host, error } => write!(
                f,
                "The webhook at {host} refused an alert, which is given up: {error}. Look at `alerts.webhook`; `slated check --send-test-alert` tries it."
            ),
            Self::LeftUnwritten => f.write_str(
                "What callbacks did last could not be written down; they run again for the same events after the next start.",
            ),
        }
    }
}
