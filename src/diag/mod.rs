//! Problems in a file, shown with file:line:column and a caret, all of them at once.
