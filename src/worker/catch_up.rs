//! Behind the ends that its partitions had when they were assigned, a shard holds its actions and timers, and takes the
//! records of its partitions in the order of their Kafka timestamps (SPEC 4, «Two clocks»).
//!
//! So an acknowledgement in the backlog is seen before the page that it stops, and nobody is paged for what the backlog has
//! resolved. What comes from one partition waits while another may still have something earlier; one that has been read to its
//! end has not. Bounded by time and by what may wait: past that records go on as they come, and people are told.

use crate::kafka::batch::Entry;
use crate::kafka::{Batch, Error, GroupConsumer};
use crate::model::{Time, Topic};
use crate::worker::INPUTS;
use crate::worker::intake::Moment;
use crate::worker::lane::Lane;
use crate::worker::session::{AHEAD, ALERTS, BATCH, Session, lane};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Records that may wait in all lanes of a worker together; a large one counts as several.
const WAITING: usize = 200_000;
/// Up to so many bytes a record counts as one.
const SMALL: usize = 4 << 10;

/// A lane that is behind.
pub struct CatchUp {
    began: Instant,
    until: Instant,
    /// What has come and is not taken, by place in [`INPUTS`].
    queues: [Queue; INPUTS.len()],
    waiting: usize,
    /// More may not wait.
    most: usize,
}

#[derive(Default)]
struct Queue {
    entries: VecDeque<Waiting>,
    /// It was read to its end, or as far as transactions are complete: nothing of it is to be waited for.
    at_end: bool,
}

enum Waiting {
    /// Its timestamp, and its place in the batch that keeps it.
    Record(Time, Rc<Batch>, usize),
    /// The next offset to be read.
    End(i64),
}

impl Waiting {
    fn weight(&self) -> usize {
        match self {
            Waiting::Record(_, batch, at) => {
                1 + batch.record(*at).and_then(|record| record.value()).map_or(0, |value| value.len() / SMALL)
            }
            Waiting::End(_) => 0,
        }
    }
}

/// Of equal timestamps the smaller goes first.
fn rank(topic: usize) -> u8 {
    match INPUTS[topic] {
        Topic::Commands => 0,
        Topic::Events => 1,
        Topic::Inbox => 2,
        _ => 3,
    }
}

impl CatchUp {
    fn push(&mut self, topic: usize, entry: Waiting) {
        self.waiting += entry.weight();
        self.queues[topic].entries.push_back(entry);
    }

    /// Does nothing wait but what is of one topic?
    fn alone(&self, topic: usize) -> bool {
        self.queues.iter().enumerate().all(|(at, queue)| at == topic || queue.entries.is_empty())
    }

    /// The queue whose head is the earliest record. `None`: there is none, or one that has nothing yet may have an earlier;
    /// `needed`: which queues may.
    fn earliest(&self, needed: impl Fn(usize) -> bool) -> Option<usize> {
        let head = |at: usize| match self.queues[at].entries.front() {
            Some(Waiting::Record(time, ..)) => Some((*time, rank(at), at)),
            _ => None,
        };
        let blocked = |at: usize| self.queues[at].entries.is_empty() && !self.queues[at].at_end && needed(at);
        match (0..INPUTS.len()).any(blocked) {
            true => None,
            false => (0..INPUTS.len()).filter_map(head).min().map(|(_, _, at)| at),
        }
    }
}

impl Lane {
    /// After its restore: is the shard behind, it holds for at most `max`. `lanes`: how many share the memory.
    pub fn begin_catch_up(&mut self, max: Duration, lanes: usize) {
        let behind = !self.positions.iter().flatten().all(|position| position.caught_up);
        let Some(shard) = self.shard.as_mut().filter(|_| behind && !max.is_zero()) else { return };
        shard.hold(true);
        let began = Instant::now();
        let most = WAITING / lanes.max(1);
        self.catch_up = Some(Box::new(CatchUp { began, until: began + max, queues: Default::default(), waiting: 0, most }));
    }

    /// Takes what may be taken in its order; everything, where the lane has caught up, or must not wait any longer.
    fn go_on(&mut self, moment: &Moment<'_>) {
        let Some(mut catch_up) = self.catch_up.take() else { return };
        let late = moment.at >= catch_up.until;
        let crowded = catch_up.waiting > catch_up.most;
        loop {
            self.pass_ends(&mut catch_up);
            let needed = |at: usize| !late && !crowded && self.positions[at].is_some_and(|position| !position.caught_up);
            let Some(topic) = catch_up.earliest(needed) else { break };
            if topic == ALERTS && catch_up.alone(ALERTS) {
                self.take_alerts(moment, &mut catch_up);
                continue;
            }
            let first = catch_up.queues[topic].entries.pop_front();
            catch_up.waiting -= first.as_ref().map_or(0, Waiting::weight);
            if let Some(Waiting::Record(_, batch, at)) = first {
                catch_up.queues[topic].at_end = false;
                if let Some(record) = batch.record(at) {
                    self.take(moment, topic, &record, None);
                }
            }
        }
        let caught_up = catch_up.waiting == 0 && self.caught_up();
        if !caught_up && !late {
            self.catch_up = Some(catch_up);
            return;
        }
        let seconds = catch_up.began.elapsed().as_secs_f64();
        if caught_up {
            tracing::debug!(shard = self.home, seconds, "caught up");
        } else {
            tracing::warn!(
                shard = self.home,
                seconds,
                "still behind after catch_up.max: from here on people are told of what is true so far"
            );
        }
        // What the backlog's last facts change is part of it.
        self.take_facts(moment);
        if let Some(shard) = &mut self.shard {
            shard.hold(false);
        }
    }

    /// Takes the alerts at the head of their queue, where nothing else waits: a few are opened before the first is taken, as
    /// in a batch (see `session`).
    fn take_alerts(&mut self, moment: &Moment<'_>, catch_up: &mut CatchUp) {
        let queue = &mut catch_up.queues[ALERTS];
        queue.at_end = false;
        let mut group: SmallVec<[(Rc<Batch>, usize); AHEAD]> = SmallVec::new();
        while group.len() < AHEAD
            && let Some(first @ Waiting::Record(..)) = queue.entries.front()
        {
            catch_up.waiting -= first.weight();
            if let Some(Waiting::Record(_, batch, at)) = queue.entries.pop_front() {
                group.push((batch, at));
            }
        }
        let records = group.iter().filter_map(|(batch, at)| batch.record(*at));
        let opened: SmallVec<[_; AHEAD]> = records.map(|record| (self.open(moment, ALERTS, &record), record)).collect();
        opened.iter().filter_map(|(opened, _)| opened.as_ref()).for_each(|opened| self.expect(opened));
        for (opened, record) in &opened {
            self.take(moment, ALERTS, record, opened.as_ref());
        }
    }

    /// Ends of partitions at the heads of the queues.
    fn pass_ends(&mut self, catch_up: &mut CatchUp) {
        for (queue, position) in catch_up.queues.iter_mut().zip(&mut self.positions) {
            while let Some(Waiting::End(offset)) = queue.entries.front() {
                if let Some(position) = position {
                    position.caught_up |= *offset >= position.end;
                }
                queue.at_end = true;
                queue.entries.pop_front();
            }
        }
    }
}

impl Session<'_> {
    /// Where a lane is behind, takes the whole batch, lanes that are not as ever, and leaves it empty. The timestamp of the
    /// last record in it.
    pub fn catch_up(&mut self, batch: &mut Batch, moment: &Moment<'_>) -> Result<Option<i64>, Error> {
        if self.lanes.iter().all(|lane| lane.catch_up.is_none()) {
            return Ok(None);
        }
        let batch = Rc::new(std::mem::replace(batch, Batch::new(BATCH)));
        let topics = self.consumer.as_ref().map_or(&[][..], GroupConsumer::topics);
        let mut last = None;
        for (at, entry) in batch.entries(topics).enumerate() {
            let (topic, partition) = match &entry {
                Entry::Record(topic, record) => (*topic, record.partition()),
                Entry::End { topic, partition, .. } | Entry::Error { topic, partition, .. } => (*topic, *partition),
            };
            let lane = lane(&self.routes, &mut self.lanes, topic, partition);
            match (entry, lane) {
                (Entry::Error { code, .. }, _) => self.consumer().judge(topic, partition, code)?,
                (_, None) => {}
                (Entry::Record(_, record), Some(lane)) => {
                    last = record.timestamp();
                    match &mut lane.catch_up {
                        Some(catch_up) => {
                            let time = last.map_or(moment.now, Time);
                            catch_up.push(topic, Waiting::Record(time, Rc::clone(&batch), at));
                        }
                        None => lane.take(moment, topic, &record, None),
                    }
                }
                (Entry::End { offset, .. }, Some(lane)) => match (&mut lane.catch_up, &mut lane.positions[topic]) {
                    (Some(catch_up), _) => catch_up.push(topic, Waiting::End(offset)),
                    (None, Some(position)) => position.caught_up |= offset >= position.end,
                    (None, None) => {}
                },
            }
        }
        for lane in &mut self.lanes {
            lane.go_on(moment);
        }
        Ok(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALERTS: usize = 0;
    const COMMANDS: usize = 1;
    const EVENTS: usize = 2;
    const INBOX: usize = 3;

    fn catch_up(records: &[(usize, i64)]) -> CatchUp {
        let now = Instant::now();
        let mut catch_up = CatchUp { began: now, until: now, queues: Default::default(), waiting: 0, most: 10 };
        let batch = Rc::new(Batch::new(1));
        for (at, (topic, time)) in records.iter().enumerate() {
            catch_up.push(*topic, Waiting::Record(Time(*time), Rc::clone(&batch), at));
        }
        catch_up
    }

    /// The order in which all are taken, where nothing is waited for.
    fn order(records: &[(usize, i64)]) -> Vec<(usize, i64)> {
        let mut catch_up = catch_up(records);
        let mut taken = Vec::new();
        while let Some(topic) = catch_up.earliest(|_| false) {
            if let Some(Waiting::Record(time, ..)) = catch_up.queues[topic].entries.pop_front() {
                taken.push((topic, time.0));
            }
        }
        taken
    }

    #[test]
    fn the_earliest_goes_first_and_of_equals_the_command() {
        let records = [(ALERTS, 1), (ALERTS, 5), (ALERTS, 6), (COMMANDS, 5), (EVENTS, 5), (INBOX, 5), (COMMANDS, 9)];
        let expected = [(ALERTS, 1), (COMMANDS, 5), (EVENTS, 5), (INBOX, 5), (ALERTS, 5), (ALERTS, 6), (COMMANDS, 9)];
        assert_eq!(order(&records), expected);
        // A clock that went back changes nothing about the order within a partition.
        assert_eq!(order(&[(ALERTS, 7), (ALERTS, 2), (COMMANDS, 3)]), [(COMMANDS, 3), (ALERTS, 7), (ALERTS, 2)]);
    }

    #[test]
    fn what_may_still_have_something_earlier_is_waited_for() {
        let mut catch_up = catch_up(&[(ALERTS, 5)]);
        assert_eq!(catch_up.earliest(|at| at == COMMANDS), None);
        assert_eq!(catch_up.earliest(|at| at == ALERTS), Some(ALERTS), "it has something");
        catch_up.queues[COMMANDS].at_end = true;
        assert_eq!(catch_up.earliest(|at| at == COMMANDS), Some(ALERTS), "it has been read to its end");
    }
}
