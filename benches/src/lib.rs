//! What the benchmarks share: load at a fixed rate, figures of latencies, and a table that names the machine.
//!
//! Times are printed and never asserted: a machine that is slow today breaks nobody's build.

pub mod cpu;
pub mod figures;
pub mod load;
pub mod table;
