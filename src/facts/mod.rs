//! Fact domains: one file each, a read command and a pure parser of its output.
