//! The program as a user sees it: hermetic, no network, no machine but this one.

mod check;
mod help;
mod history;
mod imports;
mod kbootstrap;
mod never_panics;
mod playbook;
