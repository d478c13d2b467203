//! The pod network and its policies: objects of our own manifests.

use serde_json::Value;

use super::cluster_op;
use crate::{
    kind::op,
    model::{
        cluster::ClusterSpec,
        live::{Live, ObjectRef},
        op::ClusterOp,
        plan::Verdict,
        subset::differences,
    },
    render::network::manifests,
};

/// Lines of one object that are shown at most.
const MOST: usize = 12;

pub fn objects(spec: &ClusterSpec) -> Vec<Value> {
    manifests(spec).into_iter().flat_map(|set| set.objects).collect()
}

/// One op for each set of which anything is not as rendered: applying the rest of it changes nothing.
pub fn judge(spec: &ClusterSpec, live: Option<&Live>) -> Verdict {
    let (mut diff, mut ops) = (Vec::new(), Vec::new());
    for set in manifests(spec) {
        let before = diff.len();
        for object in &set.objects {
            let Some(name) = ObjectRef::of(object) else { continue };
            match live.and_then(|live| live.objects.get(&name)).and_then(Option::as_ref) {
                None => diff.push(format!("+ {name}")),
                Some(there) => {
                    let differences = differences(object, there);
                    let more = differences.len().saturating_sub(MOST);
                    diff.extend(differences.iter().take(MOST).map(|difference| format!("~ {name} {difference}")));
                    if more > 0 {
                        diff.push(format!("~ {name}: and {more} more differences"));
                    }
                }
            }
        }
        if diff.len() > before {
            let call = ClusterOp::Apply { set: set.name.to_owned(), yaml: set.yaml() };
            ops.push(cluster_op("cluster.apply", &format!("apply {}", set.name), call, 120));
        }
    }
    if diff.is_empty() { Verdict::Satisfied } else { op::change(diff, ops) }
}
