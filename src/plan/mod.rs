//! Planning: desired and observed in, a plan out. Pure.
