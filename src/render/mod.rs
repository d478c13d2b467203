//! Files of the nodes and manifests of the cluster, rendered from Rust types.
