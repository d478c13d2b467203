//! A scripted node for unit tests: it answers what it was told and panics on anything else.
