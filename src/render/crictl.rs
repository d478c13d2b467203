//! crictl's configuration.

use serde_json::json;

use super::HEADER;
use crate::model::cluster::ClusterSpec;

/// Where it lies.
pub const PATH: &str = "/etc/crictl.yaml";

/// `crictl.yaml`: without it crictl tries one socket after the other and warns each time.
pub fn config(spec: &ClusterSpec) -> String {
    let socket = spec.runtime.kind.cri_socket();
    let config = json!({"runtime-endpoint": socket, "image-endpoint": socket, "timeout": 10});
    format!("{HEADER}{}", serde_yaml_ng::to_string(&config).expect("JSON is YAML"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    #[test]
    fn names_the_socket() {
        insta::assert_snapshot!(config(&sample::cluster()));
    }
}
