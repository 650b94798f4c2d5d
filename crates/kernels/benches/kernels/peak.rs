//! What one core can do at most: a loop of nothing but fused multiply-adds in registers.

use std::hint::black_box;
use std::time::Instant;

use kernels::{Format, Level};

/// Multiply-adds in flight: more than any processor's latency times its throughput.
const CHAINS: usize = 16;
/// Steps of one timed run, about a millisecond.
const STEPS: usize = 200_000;
/// Runs of which the best counts.
const RUNS: usize = 200;

/// A loop, its name and how many operations one of its instructions does; a multiply-add counts as two.
struct Loop {
    name: &'static str,
    operations: usize,
    run: fn(usize),
}

/// The name of the loop that has the fastest multiply-adds of this level for this format, and its measured operations a
/// second on one core. Where a level has none for a format, its float32 ones.
pub(crate) fn of(level: Level, format: Format) -> (&'static str, f64) {
    let Loop { name, operations, run } = fastest(level.name(), format);
    let seconds = (0..RUNS).map(|_| {
        let start = Instant::now();
        run(STEPS);
        start.elapsed().as_secs_f64()
    });
    (name, (operations * CHAINS * STEPS) as f64 / seconds.fold(f64::INFINITY, f64::min))
}

fn fastest(level: &str, format: Format) -> Loop {
    match (level, format) {
        #[cfg(target_arch = "x86_64")]
        ("avx512_bf16", Format::Bfloat16) => {
            // SAFETY: the library has a level of this name only where the processor has AVX-512 BF16.
            let run = |steps| unsafe { x86::bfloat16(steps) };
            Loop { name: "VDPBF16PS", operations: 64, run }
        }
        #[cfg(target_arch = "x86_64")]
        ("avx512_bf16" | "avx512_vnni", Format::Int8 | Format::GroupedInt8) => {
            // SAFETY: as above, AVX-512 VNNI.
            let run = |steps| unsafe { x86::int8(steps) };
            Loop { name: "VPDPBUSD", operations: 128, run }
        }
        #[cfg(target_arch = "x86_64")]
        (name, _) if name.starts_with("avx512") || name.starts_with("amx") => {
            // SAFETY: as above, AVX-512 F.
            let run = |steps| unsafe { x86::avx512(steps) };
            Loop { name: "VFMADD of 512 bits", operations: 32, run }
        }
        #[cfg(target_arch = "x86_64")]
        ("avx2", _) => {
            // SAFETY: as above, AVX2 and FMA.
            let run = |steps| unsafe { x86::avx2(steps) };
            Loop { name: "VFMADD of 256 bits", operations: 16, run }
        }
        #[cfg(target_arch = "aarch64")]
        ("neon", _) => Loop { name: "FMLA of 128 bits", operations: 8, run: neon },
        _ => Loop { name: "multiplications and additions", operations: 2, run: scalar },
    }
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
    use std::arch::x86_64::{
        __m512bh, __m512i, _mm256_fmadd_ps, _mm256_set1_ps, _mm512_dpbf16_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps,
        _mm512_set1_epi8, _mm512_set1_epi16, _mm512_set1_ps,
    };
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

    /// Sixteen pairs.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) fn bfloat16(steps: usize) {
        // SAFETY: both types are 64 bytes for which all values are valid; 0x3f00 is one half.
        let factor = unsafe { std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi16(black_box(0x3f00))) };
        let mut sums = [_mm512_set1_ps(0.0); CHAINS];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_dpbf16_ps(*sum, factor, factor);
            }
        }
        black_box(sums);
    }

    /// Sixteen groups of four bytes.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) fn int8(steps: usize) {
        let factor = _mm512_set1_epi8(black_box(1));
        let mut sums = [factor; CHAINS];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, factor, factor);
            }
        }
        black_box(sums);
    }
}
