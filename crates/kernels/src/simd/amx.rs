//! Intel's AMX: eight tile registers of sixteen rows of 64 bytes.
//!
//! Stable Rust has no intrinsics for it yet, so its few instructions are inline assembly. Tile registers 0 to 3 hold the sums of
//! a block, 4 and 5 two tiles of the input, 6 and 7 two tiles of the weights.

use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, _xgetbv};
use std::marker::PhantomData;
use std::sync::OnceLock;

use super::tiles::{BLOCK_LINES, TILE, TileProduct, Tiles, checked_tiles};
use crate::lane::Lane;

/// Whether the processor has tiles of bfloat16 and bytes, and the system lets this process use them.
pub(crate) fn is_detected() -> bool {
    static DETECTED: OnceLock<bool> = OnceLock::new();
    *DETECTED.get_or_init(|| {
        instructions().iter().all(|(_, detected)| *detected) && system_saves_tiles() && has_permission()
    })
}

/// The instruction sets used here, named as in `/proc/cpuinfo` but for underscores, and whether the processor has them.
pub(crate) fn instructions() -> [(&'static str, bool); 3] {
    // Leaf 0 gives the highest leaf there is; leaf 7 says AMX-BF16, AMX-TILE and AMX-INT8.
    let features = if __cpuid_count(0, 0).eax >= 7 { __cpuid_count(7, 0).edx } else { 0 };
    [("amxbf16", 22), ("amxtile", 24), ("amxint8", 25)].map(|(name, bit)| (name, features & 1 << bit != 0))
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

/// Adds `$products` to the block of sums behind `$sums`, by the instruction `$multiply`. The sums stay in registers from the first
/// product to the last.
macro_rules! add_products {
    ($multiply:literal, $products:expr, $sums:expr) => {{
        let tiles = checked_tiles(&$products);
        let count = $products.len();
        if tiles > 0 && count > 0 {
            let starts = $products.map(|product| {
                [product.input[0].as_ptr(), product.input[1].as_ptr(), product.weights.as_ptr()]
            });
            // SAFETY: an `Amx` exists only where the processor has the instructions, and this thread's tiles are
            // configured as sixteen rows of 64 bytes until it is dropped. A tile load or store at stride 64 touches 1,024
            // bytes in a row. `starts` holds three pointers of eight bytes a product, which the outer loop reads once for each of
            // `count` products. `checked_tiles` has seen that both inputs of each hold `tiles * 1024` bytes and the weights `tiles *
            // 2048`, which is how far the pointers go in `tiles` rounds; `sums` is 4,096 bytes, exclusively borrowed.
            unsafe {
                asm!(
                    "tileloadd tmm0, [{sums} + {stride}]",
                    "tileloadd tmm1, [{sums} + {stride} + 1024]",
                    "tileloadd tmm2, [{sums} + {stride} + 2048]",
                    "tileloadd tmm3, [{sums} + {stride} + 3072]",
                    "3:",
                    "mov {upper}, [{starts}]",
                    "mov {lower}, [{starts} + 8]",
                    "mov {weights}, [{starts} + 16]",
                    "mov {left}, {tiles}",
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
                    "dec {left}",
                    "jnz 2b",
                    "add {starts}, 24",
                    "dec {count}",
                    "jnz 3b",
                    "tilestored [{sums} + {stride}], tmm0",
                    "tilestored [{sums} + {stride} + 1024], tmm1",
                    "tilestored [{sums} + {stride} + 2048], tmm2",
                    "tilestored [{sums} + {stride} + 3072], tmm3",
                    upper = out(reg) _,
                    lower = out(reg) _,
                    weights = out(reg) _,
                    left = out(reg) _,
                    starts = inout(reg) starts.as_ptr() => _,
                    count = inout(reg) count => _,
                    tiles = in(reg) tiles,
                    sums = in(reg) $sums.as_mut_ptr(),
                    stride = in(reg) 4 * TILE,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    }};
}

impl Tiles for Amx {
    #[inline(always)]
    fn add_bfloat16<const N: usize>(&mut self, products: [TileProduct<'_>; N], sums: &mut [Lane; BLOCK_LINES]) {
        add_products!("tdpbf16ps", products, sums);
    }

    #[inline(always)]
    fn add_int8<const N: usize>(&mut self, products: [TileProduct<'_>; N], sums: &mut [Lane<u32>; BLOCK_LINES]) {
        add_products!("tdpbusd", products, sums);
    }

    #[inline(always)]
    fn add_signed_int8<const N: usize>(&mut self, products: [TileProduct<'_>; N], sums: &mut [Lane<u32>; BLOCK_LINES]) {
        add_products!("tdpbssd", products, sums);
    }
}
