//! The handle of a simulated site: everything a test or the server does goes through it.

use std::{
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    access,
    clock::{Clock, Moment},
    commit::{CommitPolicy, Transaction},
    data::{Data, Tables},
    faults::{Corruption, Effect, Fault},
    log::{EventRow, Log, Shown},
    read::{Query, client_filters},
    refusal::Refusal,
    rpc::{Request, answer},
    schema::Schema,
    seed::{self, Mix},
    state::{HistoryRow, Snapshot, State, Stats},
    write::{FieldWrite, Writer},
};

/// How a site is made.
#[derive(Clone, Debug)]
pub struct SiteOptions {
    /// Decides everything that looks random: keys, names, which transactions are late.
    pub seed: u64,
    /// Whether there is a small production with people and scripts; otherwise only the
    /// scripts exist.
    pub production: bool,
    /// Id of the first event row.
    pub first_event_id: u64,
    /// Most rows in one answer (`api_max_entities_per_page`).
    pub largest_page: usize,
    /// Where the time comes from.
    pub clock: Clock,
}

impl Default for SiteOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            production: true,
            first_event_id: 1,
            largest_page: 500,
            clock: Clock::system(),
        }
    }
}

/// A simulated site. Clones are the same site.
#[derive(Clone, Debug)]
pub struct Site {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    clock: Clock,
    /// Told each time the faults are cleared, so that hanging requests end.
    cleared: watch::Sender<()>,
}

impl Site {
    /// Makes a site, with a production if the options say so. Seeding makes no event rows.
    pub fn new(options: SiteOptions) -> Self {
        let data = Data {
            schema: Schema::embedded(),
            tables: Tables::default(),
            log: Log::new(options.first_event_id),
            follows: std::collections::BTreeSet::new(),
        };
        let mut state = State::new(data, options.seed, options.largest_page);
        let now = options.clock.now();
        seed::scripts(&mut state, now);
        if options.production {
            seed::production(&mut state, now);
        }
        Self {
            inner: Arc::new(Inner {
                state: Mutex::new(state),
                clock: options.clock,
                cleared: watch::Sender::new(()),
            }),
        }
    }

    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut State, Moment) -> T) -> T {
        let now = self.inner.clock.now();
        // A panic elsewhere must not take the site from all other tests' threads.
        let mut state = self
            .inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        work(&mut state, now)
    }

    fn write<T>(
        &self,
        who: &str,
        open: Option<u64>,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.with(|state, now| {
            let actor = access::named(&state.data, who)?;
            state.write(&actor, open, now, work)
        })
    }

    /// Returns the clock of the site.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Returns the key of a script, if there is such a script.
    pub fn key(&self, script: &str) -> Option<String> {
        self.with(|state, _| {
            let row = access::script(&state.data, script)?;
            row.text("salted_password").map(ToOwned::to_owned)
        })
    }

    // Writing.

    /// Makes an entity: `fields` is an object of field values, links are
    /// `{"type","id"}`, `who` is a person's login or a script's name. Returns the id.
    pub fn create(&self, kind: &str, fields: Value, who: &str) -> Result<u64, Refusal> {
        let writes = FieldWrite::of_object(fields)?;
        self.write(who, None, |writer| writer.create(kind, writes))
    }
    /// Changes fields of an entity.
    pub fn update(&self, kind: &str, id: u64, fields: Value, who: &str) -> Result<(), Refusal> {
        let writes = FieldWrite::of_object(fields)?;
        self.write(who, None, |writer| writer.update(kind, id, writes))
    }
    /// Retires an entity; `false` if it was retired already.
    pub fn retire(&self, kind: &str, id: u64, who: &str) -> Result<bool, Refusal> {
        self.write(who, None, |writer| writer.retire(kind, id))
    }
    /// Brings an entity back; `false` if it was not retired.
    pub fn revive(&self, kind: &str, id: u64, who: &str) -> Result<bool, Refusal> {
        self.write(who, None, |writer| writer.revive(kind, id))
    }
    /// Opens a transaction whose event rows stay invisible until it commits.
    pub fn begin(&self, who: &str) -> OpenTransaction {
        let number = self.with(|state, _| {
            let number = state.data.log.open_transaction();
            state.open.insert(number, Transaction::new(number, true));
            number
        });
        OpenTransaction {
            site: self.clone(),
            number,
            who: who.to_owned(),
        }
    }
    /// Puts a row into the log as it is, visible at once, past every check: for rows no
    /// write would make, such as one without `created_at`.
    pub fn log_event(&self, row: EventRow) -> u64 {
        self.with(|state, now| state.append_raw(row, Shown::At(now), now))
    }
    /// Adds so many event rows of an ordinary studio day, spread over the last `age`.
    /// Returns the ids as `first..=last`, `None` if `count` is 0.
    pub fn seed_events(&self, count: u64, age: Duration) -> Option<RangeInclusive<u64>> {
        self.seed_events_of(Mix::Ordinary, count, age)
    }
    /// Adds so many event rows of a mix, as [`Site::seed_events`] does.
    pub fn seed_events_of(
        &self,
        mix: Mix,
        count: u64,
        age: Duration,
    ) -> Option<RangeInclusive<u64>> {
        self.with(|state, now| seed::events(state, now, count, age, mix))
    }
    /// Sets a person's password; before that any password is right.
    pub fn set_password(&self, login: &str, password: &str) {
        self.with(|state, _| {
            let person = state.data.tables.active("HumanUser");
            let id = person
                .filter(|row| row.text("login") == Some(login))
                .map(|row| row.id)
                .next();
            let row = id.and_then(|id| state.data.tables.row_mut("HumanUser", id));
            if let Some(row) = row {
                row.set("password_proxy", password.into());
            }
        });
    }

    // Reading.

    /// Returns rows as a client reads them. `filters` are written as for the official
    /// client: `[["sg_status_list", "is", "ip"]]`.
    pub fn find(
        &self,
        kind: &str,
        filters: &Value,
        fields: &[&str],
    ) -> Result<Vec<Value>, Refusal> {
        self.with(|state, now| {
            let args = json!({
                "type": kind,
                "filters": client_filters(filters),
                "return_fields": fields,
            });
            let query = Query::parse(&state.data.schema, "read", &args, usize::MAX)?;
            let view = state.view(now);
            let found = query.run(view);
            Ok(query.rows(view, &found))
        })
    }
    /// Returns the first row that [`Site::find`] returns.
    pub fn find_one(
        &self,
        kind: &str,
        filters: &Value,
        fields: &[&str],
    ) -> Result<Option<Value>, Refusal> {
        Ok(self.find(kind, filters, fields)?.into_iter().next())
    }
    /// Answers the body of an api3 request with the body of its answer, without faults.
    pub fn answer(&self, body: &[u8]) -> Vec<u8> {
        match Request::parse(body) {
            Ok(request) => self.with(|state, now| answer(state, now, &request)),
            Err(refusal) => refusal.envelope().to_string().into_bytes(),
        }
    }
    /// Returns the highest event id a reader sees now.
    pub fn head(&self) -> Option<u64> {
        self.with(|state, now| {
            let view = state.view(now);
            let last = view
                .records(crate::view::EVENT, 0..=u64::MAX, false)
                .next_back();
            last.map(|record| record.id)
        })
    }
    /// Returns the id the next event row will get.
    pub fn next_event_id(&self) -> u64 {
        self.with(|state, _| state.data.log.next_id())
    }
    /// Returns every event row there ever was, with the moments it was reserved and shown.
    pub fn history(&self) -> Vec<HistoryRow> {
        self.with(|state, _| state.history())
    }
    /// Returns what the site was asked so far over HTTP.
    pub fn stats(&self) -> Stats {
        self.with(|state, _| state.stats.clone())
    }

    // Commits.

    /// Sets when the rows of the transactions to come become visible.
    pub fn set_policy(&self, policy: CommitPolicy) {
        self.with(|state, _| state.commits.policy = policy);
    }
    /// Returns what is left of the policy.
    pub fn policy(&self) -> CommitPolicy {
        self.with(|state, _| state.commits.policy.clone())
    }
    /// Returns the transactions that wait, with the ids of their rows.
    pub fn waiting(&self) -> Vec<(u64, Vec<u64>)> {
        self.with(|state, _| state.data.log.open().into_iter().collect())
    }
    /// Commits a transaction that waits; returns how many rows became visible.
    pub fn commit(&self, transaction: u64) -> Result<usize, Refusal> {
        self.with(|state, now| state.settle(transaction, Shown::At(now)))
    }
    /// Rolls back a transaction that waits: its ids stay dead.
    pub fn roll_back(&self, transaction: u64) -> Result<usize, Refusal> {
        self.with(|state, _| state.settle(transaction, Shown::Never))
    }
    /// Leaves out the next so many event ids for ever.
    pub fn skip_ids(&self, ids: u64) {
        self.with(|state, _| state.data.log.skip(ids));
    }

    // Faults.

    /// Adds a fault; the first that fits a request happens to it.
    pub fn add_fault(&self, fault: Fault) {
        self.with(|state, _| state.faults.active.push(fault));
    }
    /// Ends all faults but spoilt rows.
    pub fn clear_faults(&self) {
        self.with(|state, _| state.faults.active.clear());
        self.inner.cleared.send_replace(());
    }
    /// Returns the faults in force.
    pub fn faults(&self) -> Vec<Fault> {
        self.with(|state, _| state.faults.active.clone())
    }
    /// Spoils the text of an event row in every answer that carries it.
    pub fn spoil(&self, event: u64, how: Corruption) {
        self.with(|state, _| state.spoilt.insert(event, how));
    }
    /// Makes a spoilt row whole.
    pub fn heal(&self, event: u64) {
        self.with(|state, _| state.spoilt.remove(&event));
    }
    /// Hides event rows, as a change of permission does.
    pub fn hide(&self, ids: RangeInclusive<u64>) {
        self.with(|state, _| state.curtain.hidden.push(ids));
    }
    /// Shows all hidden rows again.
    pub fn show_hidden(&self) {
        self.with(|state, _| state.curtain.hidden.clear());
    }
    /// Archives every event row below an id: readers never see it again.
    pub fn archive_below(&self, id: u64) {
        self.with(|state, _| state.curtain.archived_below = id);
    }
    /// Makes every HTTP request take at least this long.
    pub fn set_latency(&self, latency: Duration) {
        self.with(|state, _| state.latency = latency);
    }
    /// Sets the most rows in one answer; clients that asked `info` before are not told.
    pub fn set_largest_page(&self, rows: usize) {
        self.with(|state, _| state.largest_page = rows.max(1));
    }
    /// Copies the state of the site. Rows that are not visible yet are not in the copy.
    pub fn snapshot(&self) -> Snapshot {
        self.with(|state, now| state.snapshot(now))
    }
    /// Goes back to an earlier state: event ids since then are given out again.
    pub fn restore(&self, to: &Snapshot) {
        self.with(|state, now| state.restore(to, now));
    }

    /// Prepares the answer to a request that came over HTTP: what it waits for, which
    /// fault strikes it, and how it is answered if none does.
    pub(crate) fn receive(&self, request: &Request) -> (Duration, Option<Effect>) {
        self.with(|state, _| {
            let mut name = request.method.clone();
            if request.is_event_read() {
                name.push_str(" EventLogEntry");
            }
            *state.stats.requests.entry(name).or_default() += 1;
            let effect = state.faults.strike(request.asked());
            if effect.is_some() {
                state.stats.faulted += 1;
            }
            (state.latency, effect)
        })
    }
    /// Returns what changes when the faults are cleared.
    pub(crate) fn faults_cleared(&self) -> watch::Receiver<()> {
        self.inner.cleared.subscribe()
    }
    pub(crate) fn carry_out(&self, request: &Request) -> Vec<u8> {
        self.with(|state, now| answer(state, now, request))
    }
    pub(crate) fn last_event_page(&self) -> Option<Vec<u8>> {
        self.with(|state, _| state.faults.last_event_page.clone())
    }
}

/// A transaction opened by hand. Dropped without [`OpenTransaction::commit`] it stays open,
/// as a transaction of a process that hangs.
#[derive(Debug)]
pub struct OpenTransaction {
    site: Site,
    number: u64,
    who: String,
}

impl OpenTransaction {
    /// Returns its number. Requests over HTTP join it with `sim_transaction` among their
    /// credentials (`config.extra_auth_params` of the official client).
    pub fn number(&self) -> u64 {
        self.number
    }
    /// Like [`Site::create`].
    pub fn create(&self, kind: &str, fields: Value) -> Result<u64, Refusal> {
        let writes = FieldWrite::of_object(fields)?;
        let open = Some(self.number);
        self.site
            .write(&self.who, open, |writer| writer.create(kind, writes))
    }
    /// Like [`Site::update`].
    pub fn update(&self, kind: &str, id: u64, fields: Value) -> Result<(), Refusal> {
        let writes = FieldWrite::of_object(fields)?;
        let open = Some(self.number);
        self.site
            .write(&self.who, open, |writer| writer.update(kind, id, writes))
    }
    /// Like [`Site::retire`].
    pub fn retire(&self, kind: &str, id: u64) -> Result<bool, Refusal> {
        let open = Some(self.number);
        self.site
            .write(&self.who, open, |writer| writer.retire(kind, id))
    }
    /// Shows its rows; returns how many.
    pub fn commit(self) -> Result<usize, Refusal> {
        self.site.commit(self.number)
    }
    /// Lets its rows vanish; their ids stay dead.
    pub fn roll_back(self) -> Result<usize, Refusal> {
        self.site.roll_back(self.number)
    }
}
