//! The kernels alone, on one core, at the level that `CORTEN_CPU_LEVEL` names or else the highest: `make bench-kernels`.
//!
//! Every result is held against arithmetic in float64 before it is timed. For products and attention the last lines say what
//! share they reach of the peak, which is measured by a loop of multiply-adds in registers.
#![expect(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program that measures and prints"
)]

mod numbers;
mod peak;
mod products;
mod roofline;
mod terms;
mod texts;

use criterion::Criterion;
use kernels::Level;

fn main() {
    let level = Level::selected().expect("CORTEN_CPU_LEVEL");
    let mut criterion = Criterion::default().configure_from_args();
    products::products(&mut criterion, level);
    texts::attentions(&mut criterion, level);
    texts::rows(&mut criterion, level);
    terms::terms(&mut criterion, level);
    criterion.final_summary();
}
