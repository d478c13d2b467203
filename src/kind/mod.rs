//! Step kinds: one file each, what observes the step and which ops reach it.
