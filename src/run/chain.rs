//! One chain: its items in order, consecutive ops of a node as one batch, waiting at gates.

use std::{sync::Arc, time::Instant};

use super::{
    Run,
    forecast::Forecast,
    gates::{Blocker, Gates},
    report::ChainReport,
};
use crate::{
    exec::{Batch, BatchError, BatchEvent, LateFile, Link, LockError, NOT_LOCKED},
    kind::REMARK,
    model::{
        event::{Event, Failure, Outcome},
        name::NodeName,
        op::{ClusterOp, Late, Op, Work},
        plan::{Chain, Gate, Item, Owner, Verdict},
        step::StepId,
    },
    transport::{Limits, Script},
};

/// Why a chain ends before its last item.
enum End {
    Failed(Failure),
    Blocked(Blocker),
    Stopped,
}

/// Runs a chain to its end, told by events on the way.
pub(super) async fn run(run: &Run, chain: &Chain, gates: &Gates, forecast: &Forecast) -> ChainReport {
    let began = Instant::now();
    let mut walk =
        Walk { run, chain, gates, forecast, pending: Vec::new(), batches: 0, changed: 0, preflight_told: false };
    let end = walk.items().await;
    let outcome = walk.conclude(&end);
    let is_node = chain.owner != Owner::Cluster;
    if is_node {
        gates.node_settled(match &end {
            Ok(()) | Err(End::Stopped) => None,
            Err(End::Failed(failure)) => Some(Blocker { owner: chain.owner.clone(), step: failure.step.clone() }),
            Err(End::Blocked(blocker)) => Some(blocker.clone()),
        });
    }
    run.events.send(Event::ChainFinished { owner: chain.owner.clone(), outcome: outcome.clone() });
    let failure = match end {
        Err(End::Failed(failure)) => Some(failure),
        _ => None,
    };
    let seconds = began.elapsed().as_secs_f64();
    ChainReport { owner: chain.owner.clone(), outcome, changed: walk.changed, seconds, failure }
}

struct Walk<'a> {
    run: &'a Run,
    chain: &'a Chain,
    gates: &'a Gates,
    forecast: &'a Forecast,
    /// Items whose ops wait to be sent as one batch.
    pending: Vec<&'a Item>,
    batches: usize,
    changed: usize,
    preflight_told: bool,
}

impl<'a> Walk<'a> {
    async fn items(&mut self) -> Result<(), End> {
        if self.chain.items.iter().any(|item| matches!(item.verdict, Verdict::Unknown(_))) {
            self.pass_preflight();
            let item = self.chain.items.first().expect("an unknown item is an item");
            let Verdict::Unknown(error) = &item.verdict else {
                unreachable!("all items of an unknown node are unknown")
            };
            return Err(End::Failed(Failure {
                step: item.step.clone(),
                what: "observe the node".into(),
                cause: error.clone(),
                stderr: Vec::new(),
                hint: None,
            }));
        }
        for item in &self.chain.items {
            if let Verdict::Probe(ops) = &item.verdict {
                self.probe(item, ops).await?;
            }
        }
        self.pass_preflight();
        for item in &self.chain.items {
            self.item(item).await?;
        }
        self.flush().await
    }

    fn pass_preflight(&mut self) {
        if !self.preflight_told && self.chain.owner != Owner::Cluster {
            self.gates.preflight_passed();
        }
        self.preflight_told = true;
    }

    async fn item(&mut self, item: &'a Item) -> Result<(), End> {
        if item.waits.iter().any(|gate| !self.gates.is_open(gate)) {
            self.flush().await?;
            for gate in &item.waits {
                self.wait(item, gate).await?;
            }
        }
        item.waits.iter().for_each(|gate| self.forecast.passed(gate));
        let change = match &item.verdict {
            Verdict::Change(change) => change,
            Verdict::Satisfied => {
                self.finished(item, Outcome::Satisfied, 0.0);
                return Ok(());
            }
            Verdict::Probe(_) => return Ok(()),
            Verdict::Refused(_) | Verdict::Unknown(_) => unreachable!("a plan with a refusal is not run"),
        };
        if change.ops.iter().all(|op| matches!(op.work, Work::Node { .. })) {
            self.pending.push(item);
            if item.opens == Some(Gate::ApiAnswers) {
                self.flush().await?;
                self.api_answers(item).await?;
            }
            return Ok(());
        }
        self.flush().await?;
        // Of a cluster that lacks a node nothing is to be proven that could hold.
        let proves = change.ops.iter().any(|op| matches!(op.work, Work::Cluster(ClusterOp::Prove { .. })));
        if let Some(blocker) = self.gates.failed_node().filter(|_| proves) {
            return Err(End::Blocked(blocker));
        }
        self.begin(item);
        let began = Instant::now();
        for op in &change.ops {
            let Work::Cluster(call) = &op.work else { unreachable!("an item's ops are of one sort") };
            self.cluster_op(item, op, call).await?;
        }
        self.changed += 1;
        self.finished(item, Outcome::Changed, began.elapsed().as_secs_f64());
        Ok(())
    }

    /// Init is done: whoever needs the API is let go once it has answered us.
    async fn api_answers(&self, item: &Item) -> Result<(), End> {
        let Owner::Node(node) = &self.chain.owner else { unreachable!("the cluster's chain has no init") };
        if let Err(error) = self.run.actions.api_ready(node).await {
            let op = item.verdict.ops().last().expect("init has an op");
            return Err(End::Failed(self.failure(item, op, error.to_string(), error.details, error.hint)));
        }
        self.gates.open(&Gate::ApiAnswers);
        Ok(())
    }

    async fn wait(&self, item: &Item, gate: &Gate) -> Result<(), End> {
        if !self.gates.is_open(gate) {
            let owner = self.chain.owner.clone();
            self.run.events.send(Event::Waiting { owner, step: item.step.clone(), gate: gate.clone() });
        }
        tokio::select! {
            passed = self.gates.wait(gate) => passed.map_err(End::Blocked),
            () = self.run.stop.requested() => Err(End::Stopped),
        }
    }

    async fn cluster_op(&self, item: &Item, op: &Op, call: &ClusterOp) -> Result<(), End> {
        if let Err((node, error)) = self.run.locks.keep_quorum(&self.run.links).await {
            let cause = format!("no majority of locks any more; {node}: {error}");
            return Err(End::Failed(self.failure(item, op, cause, Vec::new(), Some(again()))));
        }
        self.op_started(item, op);
        let began = Instant::now();
        let limit = std::time::Duration::from_secs(op.timeout_s.into());
        let tell = |text| self.remark(item, text);
        let done = tokio::select! {
            done = self.run.actions.cluster(call, limit, &tell) => done,
            () = self.run.stop.requested() => return Err(End::Stopped),
        };
        match done {
            Ok(remarks) => {
                remarks.into_iter().for_each(tell);
                self.op_finished(item, op, began.elapsed().as_secs_f64());
                Ok(())
            }
            Err(error) => Err(End::Failed(self.failure(item, op, error.to_string(), error.details, error.hint))),
        }
    }

    /// Probes run by the right to probe, before anything is changed anywhere.
    async fn probe(&mut self, item: &Item, ops: &[Op]) -> Result<(), End> {
        self.begin(item);
        let began = Instant::now();
        for op in ops {
            let Work::Node { script, .. } = &op.work else { unreachable!("a probe is a node's") };
            self.op_started(item, op);
            let limits = Limits::within(std::time::Duration::from_secs(op.timeout_s.into()));
            let text = crate::shell::wrap(script);
            let connection = match self.link().get().await {
                Ok(connection) => connection,
                Err(error) => return Err(End::Failed(self.failure(item, op, error.to_string(), vec![], error.hint()))),
            };
            match connection.probe(&Script::new(text), limits).await {
                Ok(output) if output.exit.is_success() => {
                    let words = crate::shell::escape::escape_untrusted(output.stdout.trim_ascii());
                    for text in words.lines().filter_map(|line| line.strip_prefix(REMARK)) {
                        self.remark(item, text.to_owned());
                    }
                    self.op_finished(item, op, began.elapsed().as_secs_f64());
                }
                Ok(output) => {
                    let words = crate::shell::escape::escape_untrusted(output.stderr.trim_ascii());
                    let tail = words.lines().map(str::to_owned).collect();
                    return Err(End::Failed(self.failure(item, op, output.exit.to_string(), tail, None)));
                }
                Err(error) => {
                    return Err(End::Failed(self.failure(item, op, error.to_string(), vec![], error.hint())));
                }
            }
        }
        self.finished(item, Outcome::Satisfied, began.elapsed().as_secs_f64());
        Ok(())
    }

    /// Sends the pending items' ops as one batch and follows it to its end.
    async fn flush(&mut self) -> Result<(), End> {
        let items = std::mem::take(&mut self.pending);
        let ops: Vec<(&Item, &Op)> =
            items.iter().flat_map(|item| item.verdict.ops().iter().map(move |op| (*item, op))).collect();
        let Some(&(first, first_op)) = ops.first() else { return Ok(()) };
        if self.run.stop.is_requested() {
            return Err(End::Stopped);
        }
        let Owner::Node(node) = &self.chain.owner else { unreachable!("the cluster has no batches") };
        let inputs = self
            .inputs(&ops, node)
            .await
            .map_err(|(cause, hint)| End::Failed(self.failure(first, first_op, cause, Vec::new(), hint)))?;
        let plain: Vec<Op> = ops.iter().map(|(_, op)| (*op).clone()).collect();
        let link = self.link().clone();
        self.run.locks.keep(node, &link).await.map_err(|error| self.unlocked(first, first_op, &error))?;
        let (mut end, mut at) = self.batch(node, &link, &ops, &plain, inputs.clone()).await;
        // The node knows of a lost lock before us where a connection hangs.
        if matches!(&end, Err(BatchError::Refused(why)) if why == NOT_LOCKED) {
            self.run.locks.regain(node, &link).await.map_err(|error| self.unlocked(first, first_op, &error))?;
            (end, at) = self.batch(node, &link, &ops, &plain, inputs).await;
        }
        end.map_err(|error| match error {
            BatchError::Stopped(_) => End::Stopped,
            BatchError::Op(failure) => {
                let (item, op) = ops.get(failure.op).copied().unwrap_or((first, first_op));
                End::Failed(self.failure(item, op, failure.cause, failure.tail, None))
            }
            BatchError::Refused(why) => End::Failed(self.failure(first, first_op, why, Vec::new(), None)),
            BatchError::Gone { done } => {
                let (item, op) = ops.get(done).copied().unwrap_or((first, first_op));
                let cause = "the node has no trace of the run any more: it was rebooted".to_owned();
                End::Failed(self.failure(item, op, cause, Vec::new(), Some(again())))
            }
            BatchError::Transport(error) => {
                let hint = error.hint().unwrap_or_else(|| {
                    "the work may go on there; the same command again waits for it and looks at what came of it"
                        .to_owned()
                });
                let (item, op) = ops[at];
                End::Failed(self.failure(item, op, error.to_string(), Vec::new(), Some(hint)))
            }
        })
    }

    /// One batch, to its end; and the op that it was last seen at.
    async fn batch(
        &mut self,
        node: &NodeName,
        link: &Arc<Link>,
        ops: &[(&Item, &Op)],
        plain: &[Op],
        inputs: Vec<LateFile>,
    ) -> (Result<(), BatchError>, usize) {
        let batch = Batch::new(&self.run.id, self.batches, plain, inputs);
        self.batches += 1;
        let stopper = self.stop_file(node, link);
        let mut clock = Clock::default();
        let walk = &*self;
        let told = |event| walk.batch_event(event, ops, node, &mut clock);
        let end = {
            let running = batch.run(link, told);
            tokio::pin!(running);
            tokio::select! {
                end = &mut running => end,
                // The stop file is there now; the batch ends by itself after its present op.
                () = stopper => running.await,
            }
        };
        self.changed += clock.items;
        (end, clock.op)
    }

    /// The late inputs of a batch, each once.
    async fn inputs(&self, ops: &[(&Item, &Op)], node: &NodeName) -> Result<Vec<LateFile>, (String, Option<String>)> {
        let mut wanted: Vec<Late> = ops
            .iter()
            .flat_map(|(_, op)| match &op.work {
                Work::Node { inputs, .. } => inputs.as_slice(),
                Work::Cluster(_) => &[],
            })
            .copied()
            .collect();
        wanted.sort();
        wanted.dedup();
        let mut files: Vec<LateFile> = Vec::new();
        for late in wanted {
            let more = self.run.actions.late(late, node).await.map_err(|error| (error.to_string(), error.hint))?;
            files.extend(more.into_iter().map(|file| LateFile { name: file.name, content: file.content }));
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        files.dedup_by(|a, b| a.name == b.name);
        Ok(files)
    }

    /// Ends once a stop was asked for and the node knows; never, unless it is.
    async fn stop_file(&self, node: &NodeName, link: &Arc<Link>) {
        self.run.stop.requested().await;
        // The work session is busy with following and the other holds the lock: a connection of its own.
        let text = crate::shell::wrap(&format!(": > {}/{}/stop", crate::exec::RUN_DIR, self.run.id));
        let told = match link.another().await {
            Ok(connection) => connection.run(&Script::new(text), Limits::default()).await.map(|_| ()),
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            tracing::warn!("{node}: can't ask the running batch to stop: {error}");
        }
    }

    fn batch_event(&self, event: BatchEvent, ops: &[(&Item, &Op)], node: &NodeName, clock: &mut Clock) {
        match event {
            BatchEvent::Started(index) => {
                let (item, op) = ops[index];
                if clock.step.as_ref() != Some(&item.step) {
                    clock.step = Some(item.step.clone());
                    clock.step_began = Some(Instant::now());
                    self.begin(item);
                }
                clock.op = index;
                clock.op_began = Some(Instant::now());
                self.op_started(item, op);
            }
            BatchEvent::Done(index) => {
                let (item, op) = ops[index];
                self.op_finished(item, op, clock.op_began.map_or(0.0, |began| began.elapsed().as_secs_f64()));
                let last = ops.get(index + 1).is_none_or(|(next, _)| next.step != item.step);
                if last {
                    clock.items += 1;
                    let seconds = clock.step_began.map_or(0.0, |began| began.elapsed().as_secs_f64());
                    self.finished(item, Outcome::Changed, seconds);
                }
            }
            BatchEvent::Reconnecting { error, attempt } => {
                self.run.events.send(Event::Reconnecting { node: node.clone(), error, attempt });
            }
        }
    }

    fn link(&self) -> &Arc<Link> {
        self.run.link(&self.chain.owner).expect("every chain with work has a link")
    }

    fn begin(&self, item: &Item) {
        self.run.events.send(Event::StepStarted { owner: self.chain.owner.clone(), step: item.step.clone() });
    }

    fn remark(&self, item: &Item, text: String) {
        let owner = self.chain.owner.clone();
        self.run.events.send(Event::Remark { owner, step: item.step.clone(), text });
    }

    fn op_started(&self, item: &Item, op: &Op) {
        let owner = self.chain.owner.clone();
        self.run.events.send(Event::OpStarted { owner, step: item.step.clone(), op: op.digest() });
    }

    fn op_finished(&self, item: &Item, op: &Op, seconds: f64) {
        let owner = self.chain.owner.clone();
        self.run.events.send(Event::OpFinished { owner, step: item.step.clone(), op: op.digest(), seconds });
    }

    /// An item is done: told, and its gate opened.
    fn finished(&self, item: &Item, outcome: Outcome, seconds: f64) {
        if item.opens == Some(Gate::Founded) {
            self.run.actions.founded();
        }
        let owner = self.chain.owner.clone();
        self.run.events.send(Event::StepFinished { owner, step: item.step.clone(), outcome, seconds });
        match &item.opens {
            // Opened once the API has answered us, too.
            None | Some(Gate::ApiAnswers) => {}
            Some(gate) => {
                if let Some(text) = self.forecast.done(gate) {
                    self.remark(item, text);
                }
                self.gates.open(gate);
            }
        }
    }

    fn failure(&self, item: &Item, op: &Op, cause: String, stderr: Vec<String>, hint: Option<String>) -> Failure {
        Failure { step: item.step.clone(), what: op.what.clone(), cause, stderr, hint }
    }

    fn unlocked(&self, item: &Item, op: &Op, error: &LockError) -> End {
        End::Failed(self.failure(item, op, error.to_string(), Vec::new(), Some(again())))
    }

    /// Tells the end, and fails every gate that this chain will not open now.
    fn conclude(&mut self, end: &Result<(), End>) -> Outcome {
        let (outcome, step) = match end {
            Ok(()) if self.chain.items.iter().any(|item| item.verdict.is_change()) => return Outcome::Changed,
            Ok(()) => return Outcome::Satisfied,
            Err(End::Failed(failure)) => {
                let owner = self.chain.owner.clone();
                self.run.events.send(Event::Failed { owner, failure: failure.clone() });
                (Outcome::Failed, failure.step.clone())
            }
            Err(End::Blocked(Blocker { owner, step })) => {
                (Outcome::BlockedBy { owner: owner.clone(), step: step.clone() }, step.clone())
            }
            Err(End::Stopped) => (Outcome::NotReached, StepId::new("stopped")),
        };
        // Whom a blocked chain blocks is told the root of it.
        let blocker = match end {
            Err(End::Blocked(blocker)) => blocker.clone(),
            _ => Blocker { owner: self.chain.owner.clone(), step },
        };
        let is_unknown = self.chain.items.iter().any(|item| matches!(item.verdict, Verdict::Unknown(_)));
        if !self.preflight_told && !is_unknown && self.chain.owner != Owner::Cluster {
            self.gates.fail(&Gate::AllPreflightPassed, blocker.clone());
        }
        for item in &self.chain.items {
            let Some(gate) = &item.opens else { continue };
            if matches!(end, Err(End::Failed(_))) && self.gates.forgives(gate) {
                self.gates.open(gate);
            } else {
                self.gates.fail(gate, blocker.clone());
            }
        }
        outcome
    }
}

/// What helps against most of what interrupts a run.
fn again() -> String {
    "run the same command again: it looks at what is there and goes on".to_owned()
}

/// Times within one batch.
#[derive(Default)]
struct Clock {
    step: Option<StepId>,
    step_began: Option<Instant>,
    op: usize,
    op_began: Option<Instant>,
    items: usize,
}
