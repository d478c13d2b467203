//! kbootstrap turns a list of Ubuntu or Debian machines, reachable by SSH, into a highly available Kubernetes
//! cluster, and keeps it so for the cluster's life.
//!
//! ```text
//! inventory.toml ──► ClusterSpec ─┐
//! playbooks/*.toml ─► Playbook ───┼─► steps per node ─┐
//!                                 │                    ├─► Plan: chains of changes and gates ─► shown, or run
//! nodes ◄─ one script each ─► Facts + Observations ────┘                                         │
//! API  ◄─ kube client ─► cluster state                          run: Ops ─► nodes ─► Events ─► screen, journal, report
//! ```
//!
//! Desired, observed, plan and effect are four types; none is written into another. The modules below are printed
//! in rows: each row may import only rows above it, and modules of one row never import each other (a test reads
//! the imports against this list).

// row 1: pure types
pub mod model;
// row 2: words for people and for shells
pub mod diag;
pub mod error;
pub mod shell;
// row 3: what is wanted, and how to read what is there
pub mod facts;
pub mod inventory;
pub mod pki;
pub mod playbook;
pub mod render;
// row 4: every step kind: what observes it, which ops reach it
pub mod kind;
// row 5: pure planning
pub mod plan;
// row 6: three rights over a node
pub mod transport;
// row 7: talking to the cluster and to many nodes
pub mod backup;
pub mod exec;
pub mod gather;
pub mod kube;
// row 8: Rust verbs that need effects or fresh secrets
pub mod action;
// row 9: running a plan
pub mod run;

// row 10: what a person or a program sees
pub mod ui;
// row 11: wiring, one file per command
pub mod cli;
