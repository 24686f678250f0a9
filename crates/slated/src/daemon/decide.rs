//! The intake when the site is not the one that was followed: it asks nothing more of its log, and a
//! person decides how it goes on.
//!
//! `core::follow::decide` compares the two sides and says what changes. Invariant: what changes is
//! durable, in one transaction, before the site is read again.

use std::time::Duration;

use slated_core::follow::decide::{Choice, Decide, Step};
use slated_core::follow::{AnchorLost, Request};
use slated_model::{EventId, LedgerState, Void};
use slated_store::Beyond;
use tokio::sync::oneshot;

use super::intake::{Intake, Trouble};
use super::message::{Message, Question};
use crate::clock::wall_ms;
use crate::tell::Fact;
use crate::view::refusal::Kind;
use crate::view::{DecisionView, Refusal};

/// From one look at whether the site answers to the next: plugins that need it wait for one.
const LOOK: Duration = Duration::from_secs(5);

/// What a person asks of an intake that has stopped.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) choice: Choice,
    /// To be done, not only looked at.
    pub(crate) for_good: bool,
    pub(crate) reply: oneshot::Sender<Result<DecisionView, Refusal>>,
}

impl Intake {
    /// Waits for a person's decision, and returns the ledger to go on with. An error is a store that
    /// failed.
    pub(super) async fn stopped(
        &mut self,
        lost: &AnchorLost,
        head: EventId,
    ) -> Result<LedgerState, slated_store::Error> {
        loop {
            let decision = tokio::select! {
                decision = self.decisions.recv() => decision,
                () = tokio::time::sleep(LOOK.max(self.pace.tick)) => {
                    self.look(lost, head).await;
                    continue;
                }
            };
            let Some(decision) = decision else {
                // Nobody is left who could decide: the daemon ends.
                return std::future::pending().await;
            };
            let (told, ledger) = match self.decide(&decision).await? {
                Ok((told, ledger)) => (Ok(told), ledger),
                Err(refusal) => (Err(refusal), None),
            };
            // Whoever asked may have gone; what was done is done.
            decision.reply.send(told).unwrap_or_default();
            if let Some(ledger) = ledger {
                return Ok(ledger);
            }
        }
    }

    /// Looks whether the site answers, for those who wait for that alone.
    async fn look(&mut self, lost: &AnchorLost, head: EventId) {
        // Without a place in its log no plugin has one.
        if matches!(lost, AnchorLost::Behind { .. }) {
            return;
        }
        let asked_at = self.clock.now();
        let message = match self.ask(Request::Newest).await {
            Ok(_) => Message::SiteRead { asked_at, head },
            Err(_) => Message::SiteDown,
        };
        self.inform(message).await;
    }

    /// Compares the sides and, if that is wished, does what was chosen.
    async fn decide(
        &mut self,
        decision: &Decision,
    ) -> Result<Result<(DecisionView, Option<LedgerState>), Refusal>, slated_store::Error> {
        let Some(ledger) = self.store.snapshot().await?.ledger else {
            let error = "nothing of this site was followed yet, so there is nothing to compare";
            let refusal = Refusal::new(Kind::Impossible, error).hint(
                "start again with `slated run --from-latest`, or `--from-id N`, and the site's own positions",
            );
            return Ok(Err(refusal));
        };
        let Decision {
            choice, for_good, ..
        } = *decision;
        let mut decide = Decide::new(ledger, choice, for_good, self.pace);
        loop {
            match decide.step() {
                Step::Done => break,
                Step::Log { from, limit } => {
                    decide.log(&self.store.between(from, EventId(u64::MAX), limit).await?);
                }
                Step::Ask(request) => {
                    let page = match self.ask(request).await {
                        Ok(page) => page,
                        Err(trouble) => return Ok(Err(unread(&trouble))),
                    };
                    if let Err(disorder) = decide.site(page.events) {
                        let trouble = Trouble::of_answer(&self.url, disorder);
                        return Ok(Err(unread(&trouble)));
                    }
                }
            }
        }
        let finding = decide.finding().clone();
        if choice == Choice::Rewind && finding.agree.is_none() {
            let error =
                "nothing that slated saw is on the site as it was: there is no point to go back to";
            let refusal = Refusal::new(Kind::Impossible, error).hint(
                "`slated follow accept` takes the site as it is; for another site name another `state.folder`",
            );
            return Ok(Err(refusal));
        }
        let above = match choice {
            Choice::Accept if finding.only_hides() => finding.high,
            _ => finding.agree.unwrap_or_default(),
        };
        let beyond: Beyond = self.store.beyond(above).await?;
        let mut told = DecisionView::of(choice, &finding, beyond);
        let Some(change) = decide.change() else {
            return Ok(Ok((told, None)));
        };
        let (reply, written) = oneshot::channel();
        let void = Void {
            above: change.above,
            ledger: change.ledger.clone(),
            at_ms: wall_ms(),
        };
        let question = Question::Void { void, reply };
        self.inform(Message::Ask(question)).await;
        if written.await.is_err() {
            return Ok(Err(Refusal::ending()));
        }
        told.done = true;
        self.teller.tell(Fact::SiteDecided {
            detail: told.to_string(),
        });
        Ok(Ok((told, Some(change.ledger))))
    }
}

fn unread(trouble: &Trouble) -> Refusal {
    let refusal = Refusal::new(Kind::Impossible, trouble.text.clone());
    refusal.hint("nothing was changed; ask again when the site answers")
}
