//! The four shared authorities of a cluster, made in memory.
