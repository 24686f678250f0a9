//! Keys that take one of a few words.

use std::fmt;

/// A type that is written as one of a few words.
pub(crate) trait Choice: Copy + 'static {
    /// Every word that is accepted, the preferred spelling of each value first.
    const WORDS: &'static [(&'static str, Self)];
}

macro_rules! choices {
    ($($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $variant:ident = $word:literal $(| $alias:literal)*,)+ })+) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$what])* $variant,)+ }
        impl $name {
            /// Returns the word by which it is configured.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
        impl Choice for $name {
            const WORDS: &'static [(&'static str, Self)] =
                &[$(($word, Self::$variant), $(($alias, Self::$variant),)*)+];
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    )+};
}

choices! {
    /// In which order plugins get one event (ARCHITECTURE.md, "Order").
    Order {
        /// Each at its own pace.
        Independent = "independent",
        /// One event goes from plugin to plugin; different events at the same time.
        Pipelined = "pipelined",
        /// One event at a time through all plugins.
        Serial = "serial",
    }
    /// Which failures are tried again.
    Retry {
        /// Network errors, network timeouts, 5xx answers.
        Transient = "transient",
        /// Every failure but a limit; a callback that failed half-way may write twice.
        All = "all",
        /// None.
        None = "none",
    }
    /// What becomes of an event whose callback failed for good.
    OnError {
        /// It is kept for a person.
        DeadLetter = "dead-letter",
        /// It is only logged.
        Log = "log",
    }
    /// What becomes of a plugin whose file no longer loads.
    BrokenEdit {
        /// The code that ran before goes on.
        Keep = "keep",
        /// The plugin stops until the file loads.
        Deactivate = "deactivate",
    }
    /// How a changed plugin is replaced.
    Reload {
        /// The new worker starts before the old one ends.
        NewFirst = "new-first",
        /// The old worker ends before the new one starts: for what owns a port or a lock.
        StopFirst = "stop-first",
    }
    /// How a log line looks.
    LogFormat {
        /// For a terminal.
        Human = "human",
        /// One object a line.
        Json = "json",
    }
    /// How much is logged, from the least.
    Level {
        /// Someone must act.
        Error = "error",
        /// It healed by itself.
        Warn = "warn" | "warning",
        /// What comes and goes.
        Info = "info",
        /// One line an event.
        Debug = "debug",
        /// Frames.
        Trace = "trace",
    }
}
