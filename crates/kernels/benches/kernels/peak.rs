//! What one core can do at most: a loop of nothing but fused multiply-adds in registers.

use std::hint::black_box;
use std::time::Instant;

use kernels::Level;

/// Multiply-adds in flight: more than any processor's latency times its throughput.
const CHAINS: usize = 16;
/// Steps of one timed run, about a millisecond.
const STEPS: usize = 200_000;
/// Runs of which the best counts.
const RUNS: usize = 200;

/// Measured float32 FLOP a second of one core at this level; a multiply-add counts as two.
pub(crate) fn float32(level: Level) -> f64 {
    let (lanes, run): (usize, fn(usize)) = match level.name() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the library calls a level so only where the processor has AVX2 and FMA.
        "avx2" => (8, |steps| unsafe { x86::avx2(steps) }),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the library calls levels so only where the processor has AVX-512 F.
        name if name.starts_with("avx512") || name.starts_with("amx") => (16, |steps| unsafe { x86::avx512(steps) }),
        #[cfg(target_arch = "aarch64")]
        "neon" => (4, neon),
        _ => (1, scalar),
    };
    let flop = (2 * lanes * CHAINS * STEPS) as f64;
    let seconds = (0..RUNS).map(|_| {
        let start = Instant::now();
        run(STEPS);
        start.elapsed().as_secs_f64()
    });
    flop / seconds.fold(f64::INFINITY, f64::min)
}

/// Without vectors and without fusing, as the scalar level computes.
fn scalar(steps: usize) {
    let (mut sums, factor) = ([1.0_f32; CHAINS], black_box(0.5_f32));
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = black_box(*sum * factor + factor);
        }
    }
    black_box(sums);
}

/// Four lanes.
#[cfg(target_arch = "aarch64")]
fn neon(steps: usize) {
    use std::arch::aarch64::{vdupq_n_f32, vfmaq_f32};
    // SAFETY: only registers, and every aarch64 of Rust's targets has NEON.
    unsafe {
        let factor = vdupq_n_f32(black_box(0.5));
        let mut sums = [factor; CHAINS];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = vfmaq_f32(*sum, *sum, factor);
            }
        }
        black_box(sums);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps, _mm512_fmadd_ps, _mm512_set1_ps};
    use std::hint::black_box;

    use super::CHAINS;

    /// Eight lanes; more chains than the sixteen registers hold would spill.
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2(steps: usize) {
        let factor = _mm256_set1_ps(black_box(0.5));
        let (mut first, mut second) = ([factor; CHAINS / 2], [factor; CHAINS / 2]);
        for sums in [&mut first, &mut second] {
            for _ in 0..steps {
                for sum in &mut *sums {
                    *sum = _mm256_fmadd_ps(*sum, factor, factor);
                }
            }
        }
        black_box((first, second));
    }

    /// Sixteen lanes.
    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512(steps: usize) {
        let factor = _mm512_set1_ps(black_box(0.5));
        let mut sums = [factor; CHAINS];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, factor, factor);
            }
        }
        black_box(sums);
    }
}
