//! kbootstrap
