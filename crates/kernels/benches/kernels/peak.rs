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
    operations: f64,
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
    (name, operations * (CHAINS * STEPS) as f64 / seconds.fold(f64::INFINITY, f64::min))
}

fn fastest(level: &str, format: Format) -> Loop {
    match (level, format) {
        #[cfg(target_arch = "x86_64")]
        ("amx", Format::Float32 | Format::Bfloat16 | Format::Int8) => {
            const OPERATIONS: f64 = 2.0 * 16.0 * 16.0 / amx::STEPS_OF_ROUND as f64;
            // SAFETY: the library has a level of this name only where the processor has AMX and lets this process use it.
            let bfloat16: fn(usize) = |steps| unsafe { amx::bfloat16(steps) };
            // SAFETY: as above.
            let int8: fn(usize) = |steps| unsafe { amx::int8(steps) };
            match format {
                Format::Bfloat16 => Loop { name: "TDPBF16PS", operations: 32.0 * OPERATIONS, run: bfloat16 },
                Format::Int8 => Loop { name: "TDPBUSD", operations: 64.0 * OPERATIONS, run: int8 },
                _ => Loop { name: "six TDPBUSD a product", operations: 64.0 / 6.0 * OPERATIONS, run: int8 },
            }
        }
        #[cfg(target_arch = "x86_64")]
        ("avx512_bf16", Format::Bfloat16) => {
            // SAFETY: the library has a level of this name only where the processor has AVX-512 BF16.
            let run = |steps| unsafe { x86::bfloat16(steps) };
            Loop { name: "VDPBF16PS", operations: 64.0, run }
        }
        #[cfg(target_arch = "x86_64")]
        ("amx" | "avx512_bf16" | "avx512_vnni", Format::Int8 | Format::GroupedInt8) => {
            // SAFETY: as above, AVX-512 VNNI.
            let run = |steps| unsafe { x86::int8(steps) };
            Loop { name: "VPDPBUSD", operations: 128.0, run }
        }
        #[cfg(target_arch = "x86_64")]
        (name, _) if name.starts_with("avx512") => {
            // SAFETY: as above, AVX-512 F.
            let run = |steps| unsafe { x86::avx512(steps) };
            Loop { name: "VFMADD of 512 bits", operations: 32.0, run }
        }
        #[cfg(target_arch = "x86_64")]
        ("avx2", _) => {
            // SAFETY: as above, AVX2 and FMA.
            let run = |steps| unsafe { x86::avx2(steps) };
            Loop { name: "VFMADD of 256 bits", operations: 16.0, run }
        }
        #[cfg(target_arch = "aarch64")]
        ("neon", _) => Loop { name: "FMLA of 128 bits", operations: 8.0, run: neon },
        _ => Loop { name: "multiplications and additions", operations: 2.0, run: scalar },
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

#[cfg(target_arch = "x86_64")]
mod amx {
    use std::arch::asm;

    /// Steps that one round of the loop stands for: a tile product takes sixteen cycles, where the other loops take one or a half.
    pub(super) const STEPS_OF_ROUND: usize = 64;

    /// Eight tile registers of sixteen rows of 64 bytes, palette 1.
    #[repr(C, align(64))]
    struct Configuration([u8; 16], [u16; 16], [u8; 16]);

    static CONFIGURATION: Configuration = Configuration(
        [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
        [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
    );

    macro_rules! rounds {
        ($name:ident, $multiply:literal) => {
            /// Rounds of sixteen tile products in four chains.
            ///
            /// # Safety
            /// The processor has AMX, and the system lets this process use it.
            pub(super) unsafe fn $name(steps: usize) {
                // SAFETY: the instructions exist by this function's contract; they read the 64 bytes of `CONFIGURATION`
                // and otherwise change tile registers only, which are declared.
                unsafe {
                    asm!(
                        "ldtilecfg [{configuration}]",
                        "2:",
                        ".rept 4",
                        concat!($multiply, " tmm0, tmm4, tmm6"),
                        concat!($multiply, " tmm1, tmm4, tmm7"),
                        concat!($multiply, " tmm2, tmm5, tmm6"),
                        concat!($multiply, " tmm3, tmm5, tmm7"),
                        ".endr",
                        "dec {rounds}",
                        "jnz 2b",
                        "tilerelease",
                        configuration = in(reg) &raw const CONFIGURATION,
                        rounds = inout(reg) (steps / STEPS_OF_ROUND).max(1) => _,
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack, readonly),
                    );
                }
            }
        };
    }

    rounds!(bfloat16, "tdpbf16ps");
    rounds!(int8, "tdpbusd");
}
