//! The command line: wiring, one file per command.
