//! The instruction sets that levels are made of.

use super::Level;
#[cfg(target_arch = "x86_64")]
use crate::simd::amx;

impl Level {
    /// What this processor has of the instruction sets that levels are made of, named as in `/proc/cpuinfo` but for underscores. The
    /// system may not let a process use all of them.
    #[must_use]
    pub fn instruction_sets() -> Vec<&'static str> {
        #[cfg(target_arch = "x86_64")]
        let sets = [
            ("avx2", is_x86_feature_detected!("avx2")),
            ("fma", is_x86_feature_detected!("fma")),
            ("avx512f", is_x86_feature_detected!("avx512f")),
            ("avx512bw", is_x86_feature_detected!("avx512bw")),
            ("avx512dq", is_x86_feature_detected!("avx512dq")),
            ("avx512vl", is_x86_feature_detected!("avx512vl")),
            ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
            ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
        ]
        .into_iter()
        .chain(amx::instructions());
        #[cfg(target_arch = "aarch64")]
        let sets = [("neon", std::arch::is_aarch64_feature_detected!("neon"))].into_iter();
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let sets = std::iter::empty();
        sets.filter_map(|(name, detected): (_, bool)| detected.then_some(name)).collect()
    }
}
