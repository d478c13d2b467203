//! POSIX shell text: quoting and composing, so that no value ever becomes syntax.
