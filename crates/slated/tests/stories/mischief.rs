//! P6: plugins that misbehave in every way that was thought of, beside one that is well.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use slated_testkit::World;
use slated_testkit::history::Line;
use slated_testkit::plugins::Plugin;

use crate::{LIMIT, SLATED, WANTED, begins, happen, is, lines, said, says, shows};

/// What each of them does with every event, and what the log says of it.
const KINDS: [(&str, &str, &str); 19] = [
    ("raises", "raise ValueError('no')", "raises.f: event"),
    ("arity", "f(1)", "TypeError"),
    ("sys_exit", "sys.exit(3)", "SystemExit"),
    (
        "os_exit",
        "os._exit(9)",
        "os_exit: its process died (exit code 9",
    ),
    (
        "segfault",
        "ctypes.string_at(0)",
        "segfault: its process died (signal 11",
    ),
    ("sleeps", "time.sleep(600)", "sleeps.f: event"),
    (
        "talks",
        "a, b = socket.socketpair(); a.settimeout(None); a.recv(1)",
        "talks.f: event",
    ),
    (
        "lock",
        "l = threading.Lock(); l.acquire(); l.acquire()",
        "lock.f: event",
    ),
    (
        "program",
        "subprocess.check_call(['sleep', '600'])",
        "program.f: event",
    ),
    (
        "c_code",
        "re.match(r'(a+)+$', 'a' * 40 + 'b')",
        "c_code.f: event",
    ),
    (
        "deaf",
        "while True:\n        try:\n            time.sleep(600)\n        except:\n            pass",
        "deaf.f: event",
    ),
    (
        "grows",
        "kept = [bytearray(1 << 20) for _ in range(1 << 12)]",
        "memory_limit of 128 MiB",
    ),
    (
        "floods",
        "for _ in range(1 << 9): os.write(1, (b'x' * 127 + bytes([10])) * 512)",
        "left out",
    ),
    (
        "closes",
        "os.closerange(0, 256)",
        "closes: its process died",
    ),
    (
        "surroundings",
        "os.chdir('/'); os.umask(0o777); [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; logger.info('odd')",
        "surroundings.f: odd",
    ),
    (
        "patches",
        "json.dumps = json.loads = logging.getLogger = None; logger.info('patched')",
        "patches.f: patched",
    ),
    (
        "leaves",
        "threading.Thread(target=time.sleep, args=(600,)).start(); subprocess.Popen(['sleep', '600']); logger.info('left')",
        "leaves.f: left",
    ),
    (
        "spoils",
        "event.clear(); event[args] = event; logger.info('spoilt')",
        "spoils.f: spoilt",
    ),
    (
        "deletes",
        "os.path.exists(__file__) and os.remove(__file__); logger.info('deleted')",
        "deletes.f: deleted",
    ),
];

fn mischief(name: &str, what: &str) -> Plugin {
    let text = format!(
        "import ctypes, json, logging, os, re, signal, socket, subprocess, sys, threading, time\n\
         def f(sg, logger, event, args):\n    {what}\n\
         def registerCallbacks(reg):\n    \
             reg.registerCallback('s', 'k', f, {{'{WANTED}': None}}, object(), False)\n"
    );
    Plugin::source(name, &text)
}

fn now_ms() -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(u64::try_from(now.as_millis())?)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_others_do_a_plugin_that_is_well_is_called_at_once() -> Result<()> {
    let mut builder = World::builder(SLATED)
        .setting("defaults", "hard_timeout", "\"2s\"")
        .setting("defaults", "deaths", "1")
        .setting("plugin.grows", "memory_limit", "\"128MiB\"")
        .plugin(Plugin::journal("well"));
    for (name, what, _) in KINDS {
        builder = builder.plugin(mischief(name, what));
    }
    let mut world = builder.start().await?;
    let all = |s: &serde_json::Value| KINDS.iter().all(|(name, ..)| is(s, name, "running"));
    shows(&world, "all loaded", |s| all(s) && is(s, "well", "running")).await?;
    let mut waits = Vec::new();
    for _ in 0..12 {
        let at = now_ms()?;
        let event = happen(world.site());
        begins(&mut world, "well", event, 1).await?;
        let journal = world.journal()?;
        let begun = journal.iter().find_map(|line| match line {
            Line::Start {
                event: e, at_ms, ..
            } if e.0 == event => Some(*at_ms),
            _ => None,
        });
        waits.push(begun.context("it has begun")?.saturating_sub(at));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    waits.sort_unstable();
    // From the write to the site on, with the next look in it. One of twelve may wait for a processor.
    assert!(waits[10] <= 1000, "{waits:?}");
    for (name, _, words) in KINDS {
        says(&mut world, words, 1).await?;
        // Each has shown what it does, not how it fails to load.
        assert_eq!(lines(&world, &format!("{name}: does not load")), 0);
    }
    for name in ["sleeps", "talks", "lock", "program", "c_code", "deaf"] {
        let own = format!("{name}.f: event");
        let ended = |l: &str| l.contains(&own) && l.contains("its hard limit of 2s");
        let hung = said(&world).lines().any(ended);
        assert!(hung, "{name}: {}", world.log());
    }
    world.caught_up(LIMIT).await?;
    world.verdict().await?.kept(12)
}
