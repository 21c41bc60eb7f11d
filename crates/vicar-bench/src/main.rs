//! Benchmarks of vicar beside its peers.
fn main() {}
