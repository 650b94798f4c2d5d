//! Which instructions the kernels use, chosen at run time.

mod instruction_sets;

use std::fmt;
use std::sync::OnceLock;

#[cfg(target_arch = "aarch64")]
use crate::simd::neon;
use crate::simd::{DotKernel, Kernel, TileKernel, scalar};
#[cfg(target_arch = "x86_64")]
use crate::simd::{amx, avx2, avx512};

/// The environment variable that selects a level downwards.
const VARIABLE: &str = "CORTEN_CPU_LEVEL";

/// A set of instructions that this processor has: holding one is the proof.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(Kind);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Scalar,
    /// What the tests compare with: plain Rust that rounds multiply-adds once, as the SIMD levels do.
    #[cfg(test)]
    Specification,
    /// What the tests compare matrix tiles with.
    #[cfg(any(test, feature = "emulated-tiles"))]
    EmulatedTiles,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    #[cfg(target_arch = "x86_64")]
    Amx,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

/// `CORTEN_CPU_LEVEL` names no level that this processor has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE}: expected one of {available} on this processor, found \"{found}\"")]
pub struct LevelError {
    available: String,
    found: String,
}

impl Level {
    /// Plain Rust, on every processor.
    #[must_use]
    pub fn scalar() -> Self {
        Self(Kind::Scalar)
    }

    /// The level that the tests hold the others against.
    #[cfg(test)]
    pub(crate) fn specification() -> Self {
        Self(Kind::Specification)
    }

    /// Matrix tiles in plain Rust: what levels with tiles are held against, slow, and not among [`Level::available`].
    #[cfg(any(test, feature = "emulated-tiles"))]
    #[must_use]
    pub fn emulated_tiles() -> Self {
        Self(Kind::EmulatedTiles)
    }

    /// Every level this processor has, lowest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        #[cfg_attr(
            not(any(target_arch = "x86_64", target_arch = "aarch64")),
            expect(unused_mut, reason = "the others add levels")
        )]
        let mut levels = vec![Self::scalar()];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            levels.push(Self(Kind::Avx2));
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
            {
                levels.push(Self(Kind::Avx512));
                if is_x86_feature_detected!("avx512vnni") {
                    levels.push(Self(Kind::Avx512Vnni));
                    if is_x86_feature_detected!("avx512bf16") {
                        levels.push(Self(Kind::Avx512Bf16));
                        if amx::is_detected() {
                            levels.push(Self(Kind::Amx));
                        }
                    }
                }
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            levels.push(Self(Kind::Neon));
        }
        levels
    }

    /// The highest level this processor has.
    #[must_use]
    pub fn detected() -> Self {
        Self::available().into_iter().max().unwrap_or(Self::scalar())
    }

    /// The level in use: the highest one, or the one that `CORTEN_CPU_LEVEL` names. The variable is read once a
    /// process, so that one process never mixes levels.
    ///
    /// # Errors
    /// The variable names no level that this processor has.
    pub fn selected() -> Result<Self, LevelError> {
        static SELECTED: OnceLock<Result<Level, LevelError>> = OnceLock::new();
        SELECTED
            .get_or_init(|| match std::env::var_os(VARIABLE) {
                Some(name) if !name.is_empty() => Self::from_name(&name.to_string_lossy()),
                _ => Ok(Self::detected()),
            })
            .clone()
    }

    /// The level of this name.
    ///
    /// # Errors
    /// This processor has no level of that name.
    pub fn from_name(name: &str) -> Result<Self, LevelError> {
        let levels = Self::available();
        levels.iter().copied().find(|level| level.name() == name).ok_or_else(|| LevelError {
            available: levels.iter().map(|level| level.name()).collect::<Vec<_>>().join(", "),
            found: name.to_owned(),
        })
    }

    /// `scalar`, `avx2`, `avx512`, `avx512_vnni`, `avx512_bf16` or `amx`; on aarch64 `scalar` or `neon`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Scalar => "scalar",
            #[cfg(test)]
            Kind::Specification => "specification",
            #[cfg(any(test, feature = "emulated-tiles"))]
            Kind::EmulatedTiles => "emulated tiles",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni => "avx512_vnni",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Bf16 => "avx512_bf16",
            #[cfg(target_arch = "x86_64")]
            Kind::Amx => "amx",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
        }
    }

    /// Whether products of bfloat16 are instructions of this level, and not float32 products of widened values.
    #[must_use]
    pub fn has_bfloat16(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Bf16 | Kind::Amx => true,
            _ => false,
        }
    }

    /// Whether products of bytes are instructions of this level, at least four to a float32 one.
    pub(crate) fn has_byte_products(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni | Kind::Avx512Bf16 | Kind::Amx => true,
            _ => false,
        }
    }

    /// Whether products are those of matrix tiles.
    #[must_use]
    pub fn has_tiles(self) -> bool {
        match self.0 {
            #[cfg(any(test, feature = "emulated-tiles"))]
            Kind::EmulatedTiles => true,
            #[cfg(target_arch = "x86_64")]
            Kind::Amx => true,
            _ => false,
        }
    }

    /// Runs a kernel with this level's instructions.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Kind::Scalar => scalar::call(kernel),
            #[cfg(test)]
            Kind::Specification => kernel.run(scalar::Scalar::<true>),
            #[cfg(any(test, feature = "emulated-tiles"))]
            Kind::EmulatedTiles => kernel.run(scalar::Scalar::<true>),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Level` of this kind is made only in `available`, which has seen AVX2 and FMA.
            Kind::Avx2 => unsafe { avx2::call(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Level` of these kinds is made only in `available`, which has seen AVX-512 F, BW, DQ and VL.
            Kind::Avx512 | Kind::Avx512Vnni | Kind::Avx512Bf16 | Kind::Amx => unsafe { avx512::call(kernel) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: a `Level` of this kind is made only in `available`, which has seen NEON.
            Kind::Neon => unsafe { neon::call(kernel) },
        }
    }

    /// Runs a kernel of narrow products with this level's instructions.
    pub(crate) fn run_dots<K: DotKernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Kind::Scalar => kernel.run(scalar::Scalar::<false>),
            #[cfg(test)]
            Kind::Specification => kernel.run(scalar::Scalar::<true>),
            #[cfg(any(test, feature = "emulated-tiles"))]
            Kind::EmulatedTiles => kernel.run(scalar::Scalar::<true>),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Level` of this kind is made only in `available`, which has seen AVX2 and FMA.
            Kind::Avx2 => unsafe { avx2::call_dots(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Level` of this kind is made only in `available`, which has seen AVX-512 F, BW, DQ and VL.
            Kind::Avx512 => unsafe { avx512::call_dots(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Level` of this kind is made only in `available`, which has seen those and VNNI.
            Kind::Avx512Vnni => unsafe { avx512::call_vnni(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Level` of these kinds is made only in `available`, which has seen those, VNNI and BF16.
            Kind::Avx512Bf16 | Kind::Amx => unsafe { avx512::call_bf16(kernel) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: a `Level` of this kind is made only in `available`, which has seen NEON.
            Kind::Neon => unsafe { neon::call_dots(kernel) },
        }
    }

    /// Runs a kernel of tile products with this level's tiles.
    pub(crate) fn run_tiles<K: TileKernel>(self, kernel: K) -> K::Output {
        match self.0 {
            #[cfg(any(test, feature = "emulated-tiles"))]
            Kind::EmulatedTiles => kernel.run(scalar::Scalar::<true>, crate::simd::EmulatedTiles),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Level` of this kind is made only in `available`, which has seen AVX-512 with VNNI and BF16 and
            // AMX's detection return true.
            Kind::Amx => unsafe { avx512::call_amx(kernel) },
            _ => unreachable!("{self:?} has no tiles"),
        }
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_found_by_its_name() {
        for level in Level::available() {
            assert_eq!(Level::from_name(level.name()), Ok(level));
        }
        assert!(Level::available().contains(&Level::detected()));
    }

    #[test]
    fn an_unknown_name_is_refused() {
        let error = Level::from_name("sse9").unwrap_err().to_string();
        assert!(error.starts_with("CORTEN_CPU_LEVEL: expected one of scalar"), "{error}");
        assert!(error.ends_with("found \"sse9\""), "{error}");
    }
}
