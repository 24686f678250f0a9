//! Death at each named point of a delivery, life after life, in seeded stories.
//!
//! A story is a site on which things happen late and out of order, plugins that fail for a while, for
//! good and under `stopOnError`, edits, backups and retention; each life of its daemon ends at a point
//! and a passing of it that the seed draws. In the end the judge says what is true of all of it.
//!
//! `SLATED_KILL_SEEDS=200` plays more stories, `SLATED_SEED=7` begins with that one. The seed fixes
//! what is drawn; what the processes make of it is theirs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use slated_sim::{CommitPolicy, EventRow, Fate, SCRIPTS, Site};
use slated_testkit::history::{Record, Recorded};
use slated_testkit::plugins::{Act, Callback, Plugin};
use slated_testkit::{Death, World};

/// Every point: its name, at which passing at most it kills, and what must go on for it to be passed.
const POINTS: [(&str, u32, Needs); 15] = [
    ("after_fetch", 8, Needs::Nothing),
    ("before_txn", 40, Needs::Nothing),
    ("mid_txn", 40, Needs::Nothing),
    ("after_txn", 40, Needs::Nothing),
    ("after_dispatch", 30, Needs::Nothing),
    ("before_body", 30, Needs::Nothing),
    ("in_body", 30, Needs::Nothing),
    ("after_body", 30, Needs::Nothing),
    ("before_record", 20, Needs::Nothing),
    ("after_record", 20, Needs::Nothing),
    ("in_park", 3, Needs::Nothing),
    ("in_reload", 2, Needs::Edits),
    ("in_backup", 1, Needs::Backup),
    ("in_restore", 3, Needs::Restore),
    ("in_prune", 1, Needs::Retention),
];
const LIVES: usize = 3;
/// How many stories are told at a time: most of one is waiting.
const AT_A_TIME: usize = 3;
const LIMIT: Duration = Duration::from_mins(1);
/// How long a point is waited for.
const REACHED: Duration = Duration::from_secs(15);
/// Events of long ago, which retention lets go.
const OLD: usize = 30;
const WANTED: &str = "Studio_Turnover";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    Edits,
    Backup,
    Restore,
    Retention,
}

/// How often each point killed, over all stories.
type Hits = Arc<Mutex<BTreeMap<&'static str, usize>>>;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_point_loses_nothing_and_repeats_what_was_in_flight() -> Result<()> {
    let seeds = number("SLATED_KILL_SEEDS").unwrap_or(20);
    let first = number("SLATED_SEED").unwrap_or(1);
    let hits = Hits::default();
    let next = Arc::new(AtomicU64::new(first));
    let tellers: Vec<_> = (0..AT_A_TIME)
        .map(|_| {
            let (hits, next) = (hits.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return anyhow::Ok(());
                    }
                    let told = story(seed, &hits).await;
                    let told =
                        told.with_context(|| format!("SLATED_SEED={seed} SLATED_KILL_SEEDS=1"))?;
                    eprintln!("seed {seed}: {told}");
                }
            })
        })
        .collect();
    for teller in tellers {
        teller.await??;
    }
    let hits = hits.lock().unwrap_or_else(PoisonError::into_inner);
    eprintln!("{seeds} seeds from {first}: {hits:?}");
    // A point that nobody died at proves nothing.
    let missed = POINTS.iter().filter(|(name, ..)| !hits.contains_key(name));
    let missed: Vec<_> = missed.map(|(name, ..)| name).collect();
    ensure!(seeds < 20 || missed.is_empty(), "never reached: {missed:?}");
    Ok(())
}

/// Plays one story; returns how its lives ended.
async fn story(seed: u64, hits: &Hits) -> Result<String> {
    let mut dice = fastrand::Rng::with_seed(seed);
    let slow = Callback::new("slow").sleeps(Duration::from_millis(8));
    let fails = Callback::new("unlucky")
        .does(Act::Network, 17, Some(1))
        .does(Act::Raise, 23, None);
    let world = World::builder(env!("CARGO_BIN_EXE_slated"))
        .setting("defaults", "within", "\"1s\"")
        .setting("state", "keep_events", "\"1d\"")
        .plugin(Plugin::journal("quick"))
        .plugin(Plugin::journal("slow").callback(slow))
        .plugin(
            Plugin::journal("fails")
                .callback(Callback::new("before").sleeps(Duration::from_millis(4)))
                .callback(fails.sleeps(Duration::from_millis(4))),
        )
        .plugin(
            Plugin::journal("stops").callback(
                // In place, and well before its time is over: it is never held.
                Callback::new("f")
                    .sleeps(Duration::from_millis(4))
                    .stops_on_error()
                    .does(Act::Network, 97, Some(1)),
            ),
        );
    let mut world = world.start().await?;
    for _ in 0..OLD {
        world.site().log_event(EventRow {
            event_type: json!(WANTED),
            created_at: json!("2020-05-04T10:00:00Z"),
            ..EventRow::default()
        });
    }
    world.caught_up(LIMIT).await?;
    let late = Fate::Late {
        min_ms: 20,
        max_ms: 1_200,
    };
    let policy = CommitPolicy::immediate().share(0.2, late);
    world.site().set_policy(policy);
    world.kill9().await?;

    let mut drawn: Vec<_> = POINTS.to_vec();
    dice.shuffle(&mut drawn);
    // Over so many seeds every point has its turn: one is not left to chance.
    let turn = usize::try_from(seed)? % POINTS.len();
    drawn.insert(0, POINTS[turn]);
    let mut told = String::new();
    for (name, most, needs) in drawn.into_iter().take(LIVES) {
        let death = Death {
            point: name,
            count: dice.u32(1..=most),
            both: dice.bool(),
        };
        let died = live(&mut world, death, needs, &mut dice).await;
        let died = died.with_context(|| format!("{told}then {death:?}"))?;
        write!(told, "{}:{} ", death.point, death.count)?;
        if died {
            let mut hits = hits.lock().unwrap_or_else(PoisonError::into_inner);
            *hits.entry(name).or_default() += 1;
        } else {
            told.push_str("(not reached) ");
        }
    }
    world.restart()?;
    let end = async {
        world.caught_up(LIMIT).await?;
        world.verdict().await?.kept(200)?;
        let sound = world.ask("state", &["check", "--json"]).await?;
        ensure!(sound.contains("\"sound\":true"), "{sound}");
        let (history, _) = world.history().await?;
        one_outcome_each(&history.records.unwrap_or_default())
    };
    end.await.with_context(|| told.clone())?;
    Ok(told)
}

/// Exactly one outcome a unit, and a dead letter for each that raises whatever is done.
fn one_outcome_each(records: &[Record]) -> Result<()> {
    let mut units = std::collections::BTreeSet::new();
    for record in records {
        let unit = (record.plugin.clone(), record.callback.clone(), record.event);
        ensure!(units.insert(unit), "two outcomes: {record:?}");
        let dead = record.callback.name() == "unlucky" && record.event.0 % 23 == 0;
        let wanted = if dead {
            Recorded::DeadLetter
        } else {
            Recorded::Done
        };
        ensure!(record.outcome == wanted, "{record:?}");
    }
    Ok(())
}

/// One life: things happen until the daemon has died at its point; false if it was killed elsewhere.
async fn live(
    world: &mut World,
    death: Death,
    needs: Needs,
    dice: &mut fastrand::Rng,
) -> Result<bool> {
    let over = Arc::new(AtomicBool::new(false));
    let pause = Duration::from_millis(dice.u64(20..80));
    let work = tokio::spawn(work(world.site().clone(), over.clone(), pause));
    let end = match needs {
        Needs::Backup | Needs::Restore => upkeep(world, death, needs, dice).await,
        _ => {
            if needs == Needs::Retention {
                world.keep().await?;
                world.set_variable(PACE, Some("300"));
            }
            world.restart_to_die(death)?;
            world.set_variable(PACE, None);
            let edits = edits(world, needs == Needs::Edits || dice.u8(..4) == 0);
            let dies = world.dies(REACHED).await;
            edits.abort();
            match dies {
                Ok(false) => world.kill9().await.map(|()| false),
                end => end,
            }
        }
    };
    over.store(true, Ordering::Relaxed);
    work.await??;
    end
}

/// The variable that sets the pace of retention in tests.
const PACE: &str = "SLATED_TEST_RETENTION_MS";

/// A backup or a restore that dies at its point, and what is true after it.
async fn upkeep(
    world: &mut World,
    death: Death,
    needs: Needs,
    dice: &mut fastrand::Rng,
) -> Result<bool> {
    let file = world.folder().join("backup.db");
    let path = file.to_str().context("a path")?.to_owned();
    std::fs::remove_file(&file).ok();
    world.restart()?;
    tokio::time::sleep(Duration::from_millis(dice.u64(300..900))).await;
    let mut died = false;
    if needs == Needs::Backup {
        died = world.ask_to_die(death, "state", &["backup", &path]).await?;
        ensure!(!file.exists(), "a half backup has the name of a whole one");
        // What it left is in nobody's way.
        let told = world.ask("state", &["backup", &path, "--json"]).await?;
        ensure!(told.contains("\"sound\":true"), "{told}");
    }
    world.kill9().await?;
    if needs == Needs::Restore {
        // Of the state as it stands, so that nothing of it is undone whatever happens.
        world.ask("state", &["backup", &path]).await?;
        died = world
            .ask_to_die(death, "state", &["restore", &path])
            .await?;
        world.ask("state", &["check"]).await?;
    }
    Ok(died)
}

/// Edits the slow plugin again and again, as a person who tries something does.
fn edits(world: &World, wanted: bool) -> tokio::task::JoinHandle<()> {
    let path = world.folder().join("plugins/slow.py");
    tokio::spawn(async move {
        for n in 0.. {
            if !wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(700)).await;
            let draft = path.with_file_name(".slow.py.edit");
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let text = format!("{text}# edit {n}\n");
            let edited = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, &path));
            // One that is missed is an edit less.
            edited.ok();
        }
    })
}

/// Things happen on the site until it is over, late and out of order.
async fn work(site: Site, over: Arc<AtomicBool>, pause: Duration) -> Result<()> {
    let project = site.find_one("Project", &json!([]), &[])?;
    let project = project.context("no project")?;
    let mut count = 0;
    while !over.load(Ordering::Relaxed) && count < 60 {
        let note = json!({"project": project, "subject": format!("note {count}")});
        site.create("Note", note, SCRIPTS[0])?;
        count += 1;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}
