//! Builds the stages, the queues between them, and the order of shutdown.
