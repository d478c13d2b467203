//! Playbooks: ordered stages of typed steps, as data.
//!
//! A playbook has no loops, expressions or handlers. `when` is a closed table, decided before a plan is shown; a value is
//! a literal or `{ from = NAME }` with NAME of the closed list [`Name`]. The playbook that is compiled in can be changed
//! from a folder of the user's: `[[step]]` adds, `[[patch]]` changes fields of a named step, `[[skip]]` removes one and
//! must say why. Everything wrong in all files is told at once.

mod builtin;
mod fields;
mod given;
mod load;
mod merge;
mod name;
mod template;
mod text;
mod when;

pub use builtin::FILES;
pub use given::Given;
pub use load::{Files, LoadError, builtin, check, load};
pub use name::{Name, Shape};
pub use template::{Chain, PackageItem, Playbook, Skipped, Stage, Template, TemplateKind};
pub use when::When;
