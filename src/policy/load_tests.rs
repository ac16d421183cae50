//! Loading: every fault of every file.
