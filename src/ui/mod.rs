//! What a person or a program sees: bars, plain lines, plan trees, JSON.
