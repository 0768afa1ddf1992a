//! The loop that does what the desk says: sends, writes, counts, and tells the desk how it went.
//!
//! Here alone delivery reads a clock. Attempts and settlements are tasks; their number is bounded by what is read and not done.

use crate::codec::timeline_entry;
use crate::delivery::channel::{Channels, Executed, Message, Sent};
use crate::delivery::desk::{Attempt, Body, Desk, Do, Terms};
use crate::delivery::intake::In;
use crate::delivery::pen::Pen;
use crate::delivery::report::Report;
use crate::delivery::settlement;
use crate::delivery::story::Told;
use crate::delivery::{Now, Settings, Ticket};
use crate::kafka::{Appender, Slot};
use crate::model::Time;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Between two looks at what is remembered for nothing.
const SWEEP: Duration = Duration::from_secs(30);
/// Records and answers that are taken in one turn.
const TURN: usize = 1_000;

/// How something went.
enum Went {
    Sent(Ticket, Sent),
    Executed(Ticket, Executed),
    Settled(Ticket),
}

/// What the desk hears of the incidents themselves, and of `dead-letters`.
pub enum Heard {
    Story(Told),
    /// So many records were refused lately, and the last reason.
    Refusals(u64, String),
}

pub struct Hands {
    desk: Desk,
    channels: Arc<Channels>,
    pen: Arc<Pen>,
    report: Report,
    done: crossbeam_channel::Sender<(Slot, i64)>,
    went: (UnboundedSender<Went>, UnboundedReceiver<Went>),
    /// The incidents' own records are wanted.
    wanted: Arc<AtomicBool>,
    /// Partitions are to be given up: by when at the latest, and who waits for it.
    ending: Option<(Instant, crossbeam_channel::Sender<()>)>,
    started: Instant,
}

impl Hands {
    pub fn new(
        settings: Arc<Settings>,
        channels: Arc<Channels>,
        appender: Appender,
        done: crossbeam_channel::Sender<(Slot, i64)>,
        wanted: Arc<AtomicBool>,
    ) -> Hands {
        let terms = Terms {
            fallback: settings.fallback.clone(),
            executor: settings.executor.clone(),
            breaker: settings.breaker,
            partitions: settings.partitions,
        };
        Hands {
            desk: Desk::new(terms),
            channels,
            pen: Arc::new(Pen::new(Arc::clone(&settings), appender)),
            report: Report::default(),
            done,
            went: unbounded_channel(),
            wanted,
            ending: None,
            started: Instant::now(),
        }
    }

    fn now(&self) -> Now {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { at: self.started.elapsed().as_millis() as i64, wall: Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)) }
    }

    /// Until whoever reads the topics has gone.
    pub async fn run(mut self, mut records: UnboundedReceiver<In>, mut heard: Receiver<Heard>) {
        let mut sweep = tokio::time::interval(SWEEP);
        let mut follows = true;
        loop {
            let now = self.now();
            for todo in self.desk.todo(now) {
                self.perform(todo);
            }
            self.wanted.store(self.desk.wants_stories(), Ordering::Release);
            self.end_if_quiet();
            let wake = [self.desk.wakes_at().map(|at| self.started + Duration::from_millis(at.max(0) as u64)), self.ending_at()];
            let wake = wake.into_iter().flatten().min().unwrap_or_else(|| Instant::now() + SWEEP);
            tokio::select! {
                record = records.recv() => {
                    let Some(record) = record else { return };
                    self.take(record);
                    for _ in 0..TURN {
                        let Ok(record) = records.try_recv() else { break };
                        self.take(record);
                    }
                }
                Some(went) = self.went.1.recv() => {
                    self.answer(went);
                    for _ in 0..TURN {
                        let Ok(went) = self.went.1.try_recv() else { break };
                        self.answer(went);
                    }
                }
                told = heard.recv(), if follows => match told {
                    Some(told) => self.hear(told),
                    None => follows = false,
                },
                () = tokio::time::sleep_until(wake.into()) => {}
                _ = sweep.tick() => {
                    let now = self.now();
                    self.desk.sweep(now);
                }
            }
        }
    }

    fn take(&mut self, told: In) {
        let now = self.now();
        match told {
            In::Begin(remembered) => {
                for (partition, key, value) in remembered {
                    if !self.desk.book.restore(partition, &key, value.as_deref()) {
                        tracing::warn!(partition, key, "a record of incidentd-delivery is not understood and left alone");
                    }
                }
                self.desk.book.restored();
            }
            In::Record(record) => self.desk.take(record, now),
            In::Lost(what) => {
                let title = "Actions were deleted before they were delivered";
                self.perform(Do::Alert(settlement::own_alert("lost", title, "critical", &what, now.wall)));
            }
            In::End { deadline, ended } => {
                self.desk.hold();
                self.ending = Some((deadline, ended));
            }
        }
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Story(told) => {
                let incident = told.incident;
                if self.desk.stories.take(told) {
                    let now = self.now();
                    self.desk.book.incident_closed(incident, now.wall);
                }
            }
            Heard::Refusals(count, reason) => {
                let now = self.now();
                let what = format!("{count} records went to dead-letters within five minutes, the last one for: {reason}");
                self.perform(Do::Alert(settlement::own_alert("refused", "Records are refused", "medium", &what, now.wall)));
            }
        }
    }

    fn answer(&mut self, went: Went) {
        let now = self.now();
        match went {
            Went::Sent(ticket, sent) => self.desk.sent(ticket, sent, now),
            Went::Executed(ticket, executed) => self.desk.executed(ticket, executed, now),
            Went::Settled(ticket) => self.desk.settled(ticket, now),
        }
    }

    fn ending_at(&self) -> Option<Instant> {
        self.ending.as_ref().map(|(deadline, _)| *deadline)
    }

    fn end_if_quiet(&mut self) {
        let Some((deadline, _)) = &self.ending else { return };
        if self.desk.is_quiet() || Instant::now() >= *deadline {
            self.desk.reset();
            self.report.forget();
            if let Some((_, ended)) = self.ending.take() {
                let _ = ended.try_send(());
            }
        }
    }

    fn perform(&mut self, todo: Do) {
        match todo {
            Do::Send(attempt) => self.send(attempt),
            Do::Execute(attempt) => self.execute(attempt),
            Do::Settle(ticket, settlement) => {
                let (pen, went) = (Arc::clone(&self.pen), self.went.0.clone());
                tokio::spawn(async move {
                    pen.settle(settlement).await;
                    let _ = went.send(Went::Settled(ticket));
                });
            }
            Do::Refuse(ticket, record, reason) => {
                let (pen, went) = (Arc::clone(&self.pen), self.went.0.clone());
                tokio::spawn(async move {
                    pen.dead_letter(&record, &reason).await;
                    let _ = went.send(Went::Settled(ticket));
                });
            }
            Do::Remember(write) => {
                let pen = Arc::clone(&self.pen);
                tokio::spawn(async move { pen.remember(write).await });
            }
            Do::Alert(alert) => {
                let pen = Arc::clone(&self.pen);
                tokio::spawn(async move { pen.alert(&alert).await });
            }
            // Where nobody hears it, nobody commits.
            Do::Done(slot, offset) => drop(self.done.send((slot, offset))),
            Do::Count { channel, outcome, seconds } => self.report.count(channel, outcome, seconds),
            Do::Breaker { channel, label, state } => self.report.breaker(channel, label, state),
        }
    }

    fn send(&self, attempt: Attempt) {
        let (channels, went) = (Arc::clone(&self.channels), self.went.0.clone());
        tokio::spawn(async move {
            let ticket = attempt.ticket;
            // A task of its own: were it to panic, the ticket would be under way for ever.
            let task = tokio::spawn(async move {
                match message(&attempt) {
                    Ok(message) => channels.send(&message, attempt.thread.as_ref()).await,
                    Err(why) => Sent::Refused { why },
                }
            });
            let sent = task.await.unwrap_or_else(|error| Sent::Refused { why: format!("the channel broke off: {error}") });
            let _ = went.send(Went::Sent(ticket, sent));
        });
    }

    fn execute(&self, attempt: Attempt) {
        let (channels, went) = (Arc::clone(&self.channels), self.went.0.clone());
        tokio::spawn(async move {
            let ticket = attempt.ticket;
            let task = tokio::spawn(async move {
                match message(&attempt) {
                    Ok(message) => channels.execute(&message).await,
                    Err(why) => Executed::Refused { why },
                }
            });
            let executed = task.await.unwrap_or_else(|error| Executed::Refused { why: format!("the call broke off: {error}") });
            let _ = went.send(Went::Executed(ticket, executed));
        });
    }
}

/// What waits as bytes becomes a message only now.
fn message(attempt: &Attempt) -> Result<Message, String> {
    let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).map_err(|error| format!("not an action: {error}"));
    let record = match &attempt.body {
        Body::Action(record) => parse(record.value.as_deref().unwrap_or_default())?,
        Body::Update(update) => json!({ "incident": parse(&update.incident)?, "entry": timeline_entry(&update.entry) }),
    };
    Ok(Message {
        action_id: attempt.action_id.clone(),
        kind: attempt.kind,
        event: attempt.event.clone(),
        record: Arc::new(record),
        target: attempt.target.clone(),
        test: false,
        note: attempt.note.clone(),
    })
}
