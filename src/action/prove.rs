//! Waiting until a cluster is proven healthy.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::proof::{Condition, Expected, conditions, etcd_condition};
use super::session::Session;
use super::waiting::Waiting;
use super::{ActionError, etcd, probe};
use crate::kube::watch::Watch;
use crate::kube::{KubeError, view};
use crate::model::facts::Etcd;

/// Waits until every condition holds, and gives each with what was found.
pub(super) async fn prove(
    session: &Session,
    expected: Expected<'_>,
    image: Option<&str>,
    until: Instant,
    waiting: Waiting<'_>,
) -> Result<Vec<String>, ActionError> {
    const WHAT: &str = "prove the cluster healthy";
    let mut all = by_api(session, expected, until, waiting).await.map_err(ActionError::of(WHAT))?;
    all.push(by_etcd(session, expected, until).await);
    if let Some(image) = image
        && all.iter().all(|condition| condition.holds)
    {
        all.push(probe::probe(session, expected.nodes, image, until).await);
    }
    let lines = |holds: bool| -> Vec<String> {
        let chosen = all.iter().filter(|condition| condition.holds == holds);
        chosen.map(ToString::to_string).collect()
    };
    let mut missing = lines(false);
    if missing.is_empty() {
        return Ok(lines(true));
    }
    let names: Vec<&str> = all.iter().filter(|condition| !condition.holds).map(|missing| missing.name).collect();
    let cause = format!("{} of {} conditions do not hold: {}", names.len(), all.len(), names.join(", "));
    // A condition names what is missing, a pod says why.
    missing.extend(session.call(|client| async move { view::troubles(&client).await }).await.unwrap_or_default());
    Err(ActionError::new(WHAT, cause).details(missing).hint("kbootstrap status shows how it goes on"))
}

/// What the API tells, as soon as all of it holds, or at the limit's end.
async fn by_api(
    session: &Session,
    expected: Expected<'_>,
    until: Instant,
    mut waiting: Waiting<'_>,
) -> Result<Vec<Condition>, KubeError> {
    let read = || session.call(|client| async move { view::view(&client, &[]).await });
    let mut live = read().await?;
    let mut watch = None;
    loop {
        let all = conditions(&live, expected);
        if all.iter().all(|condition| condition.holds) {
            return Ok(all);
        }
        let watch = match &mut watch {
            Some(watch) => watch,
            none => none.insert(Watch::new(&session.client().await?)),
        };
        let missing = all.iter().filter(|condition| !condition.holds);
        waiting.still(missing.map(ToString::to_string));
        match timeout_at(until.min(waiting.next), watch.next(&mut live)).await {
            Ok(Ok(())) => {}
            // The watches begin anew by themselves.
            Ok(Err(error)) => tracing::debug!(%error, "watching the cluster"),
            Err(_) if Instant::now() >= until => return Ok(conditions(&live, expected)),
            Err(_) => {}
        }
        if live.coredns.is_none() {
            // Its Deployment is not watched: it is made once, by the last phase of init.
            live.coredns = session.call(|client| async move { view::coredns(&client).await }).await?;
        }
    }
}

/// What a member of etcd says. Nothing of it can be watched, so it is asked again and again until it is right.
async fn by_etcd(session: &Session, expected: Expected<'_>, until: Instant) -> Condition {
    let mut pause = Duration::from_millis(250);
    loop {
        let said = ask_etcd(session).await;
        let condition = etcd_condition(said.as_ref().map_err(String::as_str), expected);
        if condition.holds || Instant::now() + pause > until {
            return condition;
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// Asks the member on the control plane whose API serves now.
async fn ask_etcd(session: &Session) -> Result<Etcd, String> {
    let node = session.link.current().ok_or("there is no control plane to ask")?;
    etcd::ask(session, node).await
}
