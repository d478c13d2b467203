//! One look at one node, over a connection that is there.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use zeroize::Zeroizing;

use super::{answer, ask::Ask, script};
use crate::{
    facts::error::FactError,
    model::observe::{Observation, SeenSecrets},
    shell::escape::escape_untrusted,
    transport::{Limits, Observe, Output, Script, TransportError},
};

/// What an answer may weigh: some forty files of 256 KiB would be 14 MiB, a usual one is below 100 KiB.
const LIMITS: Limits = Limits { stdout: 16 << 20, stderr: 64 << 10, timeout: Duration::from_secs(30) };

/// What one look brought.
#[derive(Debug)]
pub struct Looked {
    pub observation: Observation,
    pub secrets: SeenSecrets,
}

/// Looks at a node once: all facts, and an answer to every read, or [`Observation::Unknown`] with the reason.
pub async fn look(node: &dyn Observe, ask: &Ask) -> Looked {
    let nonce = format!("{:032x}", rand::random::<u128>());
    let script = Script::new(script::compile(ask, &nonce));
    let asked = SystemTime::now();
    let output = match node.observe(&script, LIMITS).await {
        Ok(output) => output,
        Err(error) => return Looked::unreached(&error),
    };
    let answered = SystemTime::now();
    match understand(output, &nonce, ask) {
        Ok((mut seen, secrets, reading)) => {
            seen.facts.clock.offset_s = Some(reading.offset_s(unix(asked), unix(answered)));
            Looked { observation: Observation::Seen(Box::new(seen)), secrets }
        }
        Err(error) => Looked::unknown(&error, error.hint.clone()),
    }
}

fn understand(output: Output, nonce: &str, ask: &Ask) -> Result<answer::Answer, FactError> {
    // The answer may hold a client key.
    let stdout = Zeroizing::new(output.stdout);
    if output.exit.is_success() {
        return answer::parse(&stdout, nonce, ask);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim().lines().last().map(|line| format!(": {line}")).unwrap_or_default();
    Err(FactError::new("the node", format!("the observing script failed ({}){last}", output.exit)))
}

fn unix(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

impl Looked {
    /// Nothing is known, since the node could not be asked.
    pub(super) fn unreached(error: &TransportError) -> Self {
        Self::unknown(error, error.hint())
    }

    fn unknown(error: &dyn fmt::Display, hint: Option<String>) -> Self {
        let error = escape_untrusted(error.to_string().as_bytes());
        Self { observation: Observation::Unknown { error, hint }, secrets: SeenSecrets::default() }
    }
}
