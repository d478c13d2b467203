//! Observing many nodes at once, one round trip each.
