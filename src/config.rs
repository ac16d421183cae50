//! What was written → what is meant.
