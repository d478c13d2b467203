//! Pure types: newtypes that cannot hold invalid values, the cluster wanted, what was seen, and the plan between them.
