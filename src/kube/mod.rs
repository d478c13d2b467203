//! The Kubernetes API and etcd, reached over SSH.
