//! Three rights over a node: observe, probe, effect; and SSH, the one way they are had.
