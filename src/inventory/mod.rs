//! The inventory: raw serde mirrors with spans, validated into a ClusterSpec.
