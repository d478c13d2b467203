//! SSH by russh: the only module that names it.
