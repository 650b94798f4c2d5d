//! The index against a comparison with every document in float64, and against damaged files.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "tests of arithmetic"
)]

mod brute_force;
mod changes;
mod file_damage;
mod files;
mod input;
mod postings;
mod properties;
mod random;
mod readers;

/// Never cancelled.
fn go_on() -> bool {
    false
}
