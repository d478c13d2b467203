//! What kubeadm keeps in the cluster's ConfigMaps, and gives to every node that joins later.

use serde_json::{Value, json};

use super::cluster_op;
use crate::{
    kind::op,
    model::{
        cluster::ClusterSpec,
        live::Live,
        op::{ClusterOp, Op},
        plan::Verdict,
        subset::{Difference, differences},
    },
    render,
};

/// Keys of `ClusterConfiguration` that are fixed when a cluster is formed, with the inventory's name for each.
const FIXED: [(&str, &str); 5] = [
    ("/clusterName", "cluster.name"),
    ("/controlPlaneEndpoint", "cluster.endpoint (name:port)"),
    ("/networking/podSubnet", "cluster.pod-cidr"),
    ("/networking/serviceSubnet", "cluster.service-cidr"),
    ("/networking/dnsDomain", "cluster.dns-domain"),
];

/// Differences of one document that are shown at most.
const MOST: usize = 12;

pub fn judge(spec: &ClusterSpec, live: Option<&Live>) -> Verdict {
    let Some(live) = live else { return Verdict::Satisfied };
    let (mut diff, mut objects) = (Vec::new(), Vec::new());
    if let Some(found) = &live.kubeadm_config {
        let mut wanted = render::kubeadm::cluster(spec);
        for (pointer, key) in FIXED {
            let (there, shall) = (found.pointer(pointer), wanted.pointer(pointer));
            if let (Some(there), Some(shall)) = (there.and_then(Value::as_str), shall.and_then(Value::as_str))
                && there != shall
            {
                return op::refused(
                    format!("cannot change {key} of a cluster that lives: found {there}, wanted {shall}"),
                    format!("set the inventory's {key} to {there}, or form a new cluster"),
                );
            }
        }
        keep_names(&mut wanted, found, spec);
        // The version is an upgrade's, and so is the form in which the next one writes this down.
        if found["apiVersion"] == wanted["apiVersion"] {
            if let Some(table) = wanted.as_object_mut() {
                table.remove("kubernetesVersion");
            }
            let changes = one_way(&wanted, found);
            if !changes.is_empty() {
                show(&mut diff, "kubeadm-config", &changes);
                objects.push(config_map("kubeadm-config", "ClusterConfiguration", &merged(found, &wanted)));
            }
        }
    }
    if let Some(found) = &live.kubelet_config {
        let wanted = render::kubeadm::kubelet(spec);
        let changes = one_way(&wanted, found);
        if !changes.is_empty() {
            show(&mut diff, "kubelet-config", &changes);
            objects.push(config_map("kubelet-config", "kubelet", &merged(found, &wanted)));
        }
    }
    if let Some(found) = &live.kube_proxy_config {
        let wanted = render::kubeadm::kube_proxy(spec);
        let changes = one_way(&wanted, found);
        if !changes.is_empty() {
            show(&mut diff, "kube-proxy", &changes);
            let merged = merged(found, &wanted);
            objects.push(config_map("kube-proxy", "config.conf", &merged));
            objects.push(restart("kube-proxy", &merged));
        }
    }
    if diff.is_empty() {
        return Verdict::Satisfied;
    }
    let call = ClusterOp::Apply { set: "kubeadm's configuration".to_owned(), yaml: render::documents(&objects) };
    op::change(diff, vec![cluster_op("cluster.apply", "apply kubeadm's configuration", call, 60)])
}

/// Puts another image of etcd into kubeadm's configuration, from which `kubeadm upgrade` takes it; absent where it is there.
pub fn wanted_etcd_image(spec: &ClusterSpec, live: &Live) -> Option<Op> {
    let found = live.kubeadm_config.as_ref()?;
    let wanted = render::kubeadm::cluster(spec).pointer("/etcd/local/imageTag")?.clone();
    if found.pointer("/etcd/local/imageTag") == Some(&wanted) {
        return None;
    }
    let config = merged(found, &json!({"etcd": {"local": {"imageTag": wanted}}}));
    let yaml = render::documents(&[config_map("kubeadm-config", "ClusterConfiguration", &config)]);
    let call = ClusterOp::Apply { set: "kubeadm's configuration".to_owned(), yaml };
    Some(cluster_op("cluster.apply", "write the image of etcd into kubeadm's configuration", call, 60))
}

/// Tells kubeadm's configuration that etcd is not kubeadm's any more; absent where it knows. It is the cluster's own word for
/// how its etcd runs.
pub fn external_etcd(spec: &ClusterSpec, live: &Live) -> Option<Op> {
    let found = live.kubeadm_config.as_ref()?;
    let wanted = render::kubeadm::cluster(spec)["etcd"].clone();
    if found["etcd"] == wanted {
        return None;
    }
    // In the place of what is there: kubeadm refuses both at once.
    let mut config = found.clone();
    config["etcd"] = wanted;
    let yaml = render::documents(&[config_map("kubeadm-config", "ClusterConfiguration", &config)]);
    let call = ClusterOp::Apply { set: "kubeadm's configuration".to_owned(), yaml };
    Some(cluster_op("cluster.apply", "write into kubeadm's configuration that etcd is a service", call, 60))
}

/// kubeadm gives each API server its own name besides those of the list, so that control planes that come and go need no
/// change of it: what is missing of the inventory's own names comes, and nothing goes.
fn keep_names(wanted: &mut Value, found: &Value, spec: &ClusterSpec) {
    let Some(there) = found.pointer("/apiServer/certSANs").and_then(Value::as_array) else { return };
    let mut names = there.clone();
    names.extend(spec.extra_sans.iter().map(|name| json!(name.to_string())).filter(|name| !there.contains(name)));
    wanted["apiServer"]["certSANs"] = Value::Array(names);
}

fn show(diff: &mut Vec<String>, map: &str, changes: &[String]) {
    diff.extend(changes.iter().take(MOST).map(|change| format!("~ ConfigMap/kube-system/{map} {change}")));
    let more = changes.len().saturating_sub(MOST);
    if more > 0 {
        diff.push(format!("~ ConfigMap/kube-system/{map}: and {more} more differences"));
    }
}

fn config_map(name: &str, key: &str, document: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "kube-system"},
        "data": {key: render::document(document)},
    })
}

/// A DaemonSet's pods read their configuration when they start: another annotation rolls them.
fn restart(name: &str, config: &Value) -> Value {
    let digest = super::super::file::sha256(config.to_string().as_bytes());
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {"template": {"metadata": {"annotations": {"kbootstrap/config": digest}}}},
    })
}

/// What is there, with what is wanted laid over: tables key by key, anything else whole.
pub fn merged(found: &Value, wanted: &Value) -> Value {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            let mut all = found.clone();
            for (key, value) in wanted {
                let value = all.get(key).map_or_else(|| value.clone(), |found| merged(found, value));
                all.insert(key.clone(), value);
            }
            Value::Object(all)
        }
        (_, wanted) => wanted.clone(),
    }
}

/// Where what is wanted is not there; what else is there does not count.
fn one_way(wanted: &Value, found: &Value) -> Vec<String> {
    told(differences(wanted, found)).map(|difference| difference.to_string()).collect()
}

/// Where two documents differ, either way.
pub fn both_ways(wanted: &Value, found: &Value) -> Vec<String> {
    let mut all = one_way(wanted, found);
    let extra = told(differences(found, wanted)).filter(|difference| difference.found.is_none());
    all.extend(
        extra
            .map(|difference| Difference { path: difference.path, wanted: None, found: difference.wanted }.to_string()),
    );
    all
}

/// Less those that are the same time written otherwise: kubeadm writes `1m0s` where somebody said `60s`.
fn told(differences: Vec<Difference>) -> impl Iterator<Item = Difference> {
    let nanos = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).and_then(nanoseconds);
    differences.into_iter().filter(move |difference| {
        let (wanted, found) = (nanos(&difference.wanted), nanos(&difference.found));
        wanted.is_none() || wanted != found
    })
}

/// A length of time as Go writes it: `1h0m0.5s`.
fn nanoseconds(text: &str) -> Option<u128> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut sum = 0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|letter: char| letter.is_ascii_digit()).unwrap_or(rest.len());
        let scale = match &rest[..unit] {
            "h" => 3.6e12,
            "m" => 6e10,
            "s" => 1e9,
            "ms" => 1e6,
            "us" | "µs" => 1e3,
            "ns" => 1.0,
            _ => return None,
        };
        sum += number * scale;
        rest = &rest[unit..];
    }
    (!text.is_empty()).then_some(sum.round() as u128)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::testing::{World, change, reason};

    fn world() -> World {
        let mut world = World::live("w1");
        let spec = world.spec.clone();
        let live = world.live_mut();
        live.kubeadm_config = Some(render::kubeadm::cluster(&spec));
        let mut kubelet = render::kubeadm::kubelet(&spec);
        kubelet["clusterDNS"] = json!(["10.96.0.10"]);
        live.kubelet_config = Some(kubelet);
        live.kube_proxy_config = Some(render::kubeadm::kube_proxy(&spec));
        world
    }

    fn verdict(world: &World) -> Verdict {
        let crate::model::live::Cluster::Live(live) = &world.cluster else { panic!() };
        judge(&world.spec, Some(live))
    }

    #[test]
    fn what_is_as_rendered_is_in_order_whatever_else_is_there() {
        assert!(matches!(verdict(&world()), Verdict::Satisfied));
        assert!(matches!(judge(&world().spec, None), Verdict::Satisfied));
    }

    #[test]
    fn what_is_fixed_is_refused_with_the_live_value() {
        let mut world = world();
        world.spec.dns_domain = "other.local".parse().unwrap();
        assert_eq!(
            reason(verdict(&world)),
            "cannot change cluster.dns-domain of a cluster that lives: found cluster.local, wanted other.local"
        );
    }

    #[test]
    fn what_can_change_is_laid_over_what_is_there() {
        let mut world = world();
        world.spec.overrides.kubelet = json!({"maxPods": 200}).as_object().unwrap().clone();
        world.spec.overrides.kube_proxy = json!({"mode": "nftables"}).as_object().unwrap().clone();
        let roll = change(verdict(&world));
        assert_eq!(
            roll.diff,
            [
                "~ ConfigMap/kube-system/kubelet-config maxPods: found nothing, wanted 200",
                "~ ConfigMap/kube-system/kube-proxy mode: found nothing, wanted nftables",
            ]
        );
        let crate::model::op::Work::Cluster(ClusterOp::Apply { yaml, .. }) = &roll.ops[0].work else { panic!() };
        assert!(yaml.contains("clusterDNS") && yaml.contains("maxPods: 200"), "{yaml}");
        assert!(yaml.contains("kind: DaemonSet"), "pods of kube-proxy read it when they start");
    }

    #[test]
    fn control_planes_come_and_go_without_a_change() {
        let mut world = world();
        world.spec.nodes.remove(1);
        assert!(matches!(verdict(&world), Verdict::Satisfied));
        world.spec.extra_sans.push("api.example.org".parse().unwrap());
        assert_eq!(change(verdict(&world)).diff.len(), 1);
    }

    #[test]
    fn the_version_is_an_upgrades() {
        let mut world = world();
        world.live_mut().kubeadm_config.as_mut().unwrap()["kubernetesVersion"] = json!("v1.30.13");
        assert!(matches!(verdict(&world), Verdict::Satisfied));
    }

    #[test]
    fn external_etcd_takes_the_place_of_kubeadms() {
        let mut world = world();
        world.spec.etcd = crate::model::etcd::EtcdLayout::Service;
        let crate::model::live::Cluster::Live(live) = &world.cluster else { panic!() };
        let op = external_etcd(&world.spec, live).unwrap();
        let crate::model::op::Work::Cluster(ClusterOp::Apply { yaml, .. }) = &op.work else { panic!() };
        assert!(yaml.contains("external:") && !yaml.contains("local:"), "{yaml}");
        let config = render::kubeadm::cluster(&world.spec);
        world.live_mut().kubeadm_config = Some(config);
        let crate::model::live::Cluster::Live(live) = &world.cluster else { panic!() };
        assert_eq!(external_etcd(&world.spec, live), None);
        assert!(matches!(verdict(&world), Verdict::Satisfied), "and nothing is left for `up`");
    }

    #[test]
    fn lengths_of_time_are_compared_as_such() {
        assert_eq!(nanoseconds("1m0s"), nanoseconds("60s"));
        assert_eq!(nanoseconds("1h0m0.5s"), Some(3_600_500_000_000));
        for text in ["", "1", "x", "1x", "s", "1.2.3s"] {
            assert_eq!(nanoseconds(text), None, "{text}");
        }
        assert!(both_ways(&json!({"a": "60s"}), &json!({"a": "1m0s"})).is_empty());
        assert_eq!(both_ways(&json!({"a": 1}), &json!({"a": 1, "b": 2})), ["b: found 2, wanted nothing"]);
    }
}
