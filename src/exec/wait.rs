//! Waiting for work that is found on a node: batches of a run that died, or of one that is about to end.

use std::time::Duration;

use super::{RUN_DIR, UNIT_PREFIX};
use crate::{
    shell::wrap,
    transport::{Effect, Limits, Script, TransportError},
};

/// Waits until no batch is active on the node, by systemd's own wait. Whoever comes back from here observes anew: what is
/// to be done is decided by looking, never by how the found unit ended.
///
/// # Errors
/// The connection was lost, or an hour has passed.
pub async fn wait_for_batches(node: &dyn Effect) -> Result<(), TransportError> {
    // The batch's own lock lasts exactly as long as its ops; the units' end (the last frame) follows within moments.
    let text = wrap(&format!(
        "[ -d {RUN_DIR} ] || exit 0\n\
         flock {RUN_DIR}/batch.lock true\n\
         while systemctl list-units --plain --no-legend --state=active,activating,deactivating '{UNIT_PREFIX}*' | grep -q .; do sleep 0.2; done"
    ));
    node.run(&Script::new(text), Limits::within(Duration::from_secs(3600))).await?;
    Ok(())
}
