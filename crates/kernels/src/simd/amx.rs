//! Intel's AMX: eight tile registers of sixteen rows of 64 bytes.
//!
//! Stable Rust has no intrinsics for it yet, so its few instructions are inline assembly. Tile registers 0 to 3 hold the sums of
//! a block, 4 and 5 two tiles of the input, 6 and 7 two tiles of the weights.

use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, _xgetbv};
use std::marker::PhantomData;
use std::sync::OnceLock;

use super::tiles::{BLOCK_LINES, TILE, Tiles, checked_tiles};
use crate::lane::Lane;

/// Whether the processor has tiles of bfloat16 and bytes, and the system lets this process use them.
pub(crate) fn is_detected() -> bool {
    static DETECTED: OnceLock<bool> = OnceLock::new();
    *DETECTED.get_or_init(|| has_instructions() && system_saves_tiles() && has_permission())
}

/// CPUID leaf 7: AMX-BF16, AMX-TILE and AMX-INT8.
fn has_instructions() -> bool {
    const AMX: u32 = 1 << 22 | 1 << 24 | 1 << 25;
    // Leaf 0 gives the highest leaf there is.
    __cpuid_count(0, 0).eax >= 7 && __cpuid_count(7, 0).edx & AMX == AMX
}

/// Whether the system saves the tiles' configuration and data (bits 17 and 18) when it switches threads.
fn system_saves_tiles() -> bool {
    const TILES: u64 = 1 << 17 | 1 << 18;
    #[target_feature(enable = "xsave")]
    fn enabled() -> u64 {
        // SAFETY: the caller has seen that the processor has XSAVE and the system uses it.
        unsafe { _xgetbv(0) }
    }
    // SAFETY: detection of `xsave` includes that the system has enabled it.
    is_x86_feature_detected!("xsave") && unsafe { enabled() } & TILES == TILES
}

/// Asks Linux for the use of tile data: `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`. Threads and forked
/// children inherit the permission.
#[cfg(target_os = "linux")]
fn has_permission() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST_PERMISSION: u64 = 0x1023;
    const TILE_DATA: u64 = 18;
    let result: i64;
    // SAFETY: the system call takes two integers, touches no memory of this process, and clobbers the registers named.
    unsafe {
        asm!("syscall", inlateout("rax") ARCH_PRCTL => result, in("rdi") REQUEST_PERMISSION, in("rsi") TILE_DATA,
             lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result == 0
}

/// Other systems grant the use of tiles in their own ways, none of which is known to work here.
#[cfg(not(target_os = "linux"))]
fn has_permission() -> bool {
    false
}

/// What `ldtilecfg` reads: palette 1, eight registers of sixteen rows of 64 bytes.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_per_row: [u16; 16],
    rows: [u8; 16],
}

static CONFIGURATION: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    bytes_per_row: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// The tiles of the thread that made it, configured until it is dropped.
pub(crate) struct Amx {
    /// Tiles belong to a thread: neither `Send` nor `Sync`.
    _of_this_thread: PhantomData<*const ()>,
}

impl Amx {
    /// Configures this thread's tiles.
    ///
    /// # Safety
    /// [`is_detected`] has returned true.
    pub(crate) unsafe fn configure() -> Self {
        // SAFETY: the processor has the instruction by this function's contract; it reads the 64 bytes of
        // `CONFIGURATION`.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION, options(nostack, readonly, preserves_flags));
        }
        Self { _of_this_thread: PhantomData }
    }
}

impl Drop for Amx {
    fn drop(&mut self) {
        // SAFETY: an `Amx` exists only where the processor has the instruction; nobody else uses the tiles of this thread.
        unsafe {
            asm!("tilerelease", options(nomem, nostack, preserves_flags));
        }
    }
}

/// Adds `tiles` tile products to the block of sums behind `sums`, by the instruction `$multiply`.
macro_rules! add_products {
    ($multiply:literal, $input:expr, $weights:expr, $sums:expr) => {{
        let tiles = checked_tiles($input, $weights);
        if tiles > 0 {
            // SAFETY: an `Amx` exists only where the processor has the instructions, and this thread's tiles are
            // configured as sixteen rows of 64 bytes until it is dropped. A tile load or store at stride 64 touches 1,024
            // bytes in a row. `checked_tiles` has seen that both inputs hold `tiles * 1024` bytes and the weights `tiles *
            // 2048`, which is how far the pointers go in `tiles` rounds; `sums` is 4,096 bytes, exclusively borrowed.
            unsafe {
                asm!(
                    "tileloadd tmm0, [{sums} + {stride}]",
                    "tileloadd tmm1, [{sums} + {stride} + 1024]",
                    "tileloadd tmm2, [{sums} + {stride} + 2048]",
                    "tileloadd tmm3, [{sums} + {stride} + 3072]",
                    "2:",
                    "tileloadd tmm4, [{upper} + {stride}]",
                    "tileloadd tmm6, [{weights} + {stride}]",
                    concat!($multiply, " tmm0, tmm4, tmm6"),
                    "tileloadd tmm7, [{weights} + {stride} + 1024]",
                    concat!($multiply, " tmm1, tmm4, tmm7"),
                    "tileloadd tmm5, [{lower} + {stride}]",
                    concat!($multiply, " tmm2, tmm5, tmm6"),
                    concat!($multiply, " tmm3, tmm5, tmm7"),
                    "add {upper}, 1024",
                    "add {lower}, 1024",
                    "add {weights}, 2048",
                    "dec {tiles}",
                    "jnz 2b",
                    "tilestored [{sums} + {stride}], tmm0",
                    "tilestored [{sums} + {stride} + 1024], tmm1",
                    "tilestored [{sums} + {stride} + 2048], tmm2",
                    "tilestored [{sums} + {stride} + 3072], tmm3",
                    upper = inout(reg) $input[0].as_ptr() => _,
                    lower = inout(reg) $input[1].as_ptr() => _,
                    weights = inout(reg) $weights.as_ptr() => _,
                    tiles = inout(reg) tiles => _,
                    sums = in(reg) $sums.as_mut_ptr(),
                    stride = in(reg) 4 * TILE,
                    options(nostack),
                );
            }
        }
    }};
}

impl Tiles for Amx {
    #[inline(always)]
    fn add_bfloat16(&mut self, input: [&[Lane<u32>]; 2], weights: &[Lane<u32>], sums: &mut [Lane; BLOCK_LINES]) {
        add_products!("tdpbf16ps", input, weights, sums);
    }

    #[inline(always)]
    fn add_int8(&mut self, input: [&[Lane<u32>]; 2], weights: &[Lane<u32>], sums: &mut [Lane<u32>; BLOCK_LINES]) {
        add_products!("tdpbusd", input, weights, sums);
    }
}
