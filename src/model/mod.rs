//! Pure types: newtypes that cannot hold invalid values, the cluster wanted, what was seen, and the plan between them.

pub mod access;
pub mod cluster;
pub mod drain;
pub mod etcd;
pub mod event;
pub mod facts;
pub mod image;
pub mod invalid;
pub mod label;
pub mod live;
pub mod mode;
pub mod name;
pub mod net;
pub mod node;
pub mod observe;
pub mod op;
pub mod package;
pub mod plan;
pub mod quantity;
pub mod release;
pub mod secret;
pub mod ssh;
pub mod step;
pub mod subset;
pub mod timeout;
pub mod version;
