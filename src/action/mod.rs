//! Verbs that need fresh secrets or the cluster's API.
