//! Errors of the program: what was attempted on what, the cause once, and a hint that names a command.
