//! Work on a node that survives the connection: batches as transient units, and locks.
