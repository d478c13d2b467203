//! End-to-end tests: real machines, real Kubernetes, on the lab (`tests/lab`). They need root, and run one at a time
//! because each takes the machine's one lab ([`lab::Lab`]). `cargo test --test e2e MODULE` runs one suite.

mod lab;

mod certs;
mod convert;
mod drift;
mod faults;
mod formation;
mod half_done;
mod locks;
mod nodes;
mod outages;
mod refusals;
mod restore;
mod rotate_ca;
mod runtime;
mod schedule;
mod secrets;
mod secrets_at_rest;
mod unknown;
mod upgrade;
mod witness;

mod lab_cluster;
mod lab_down;
mod lab_faults;
mod lab_use;
mod lab_variants;
