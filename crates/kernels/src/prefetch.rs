//! Asking for memory ahead of its use. A hint: nothing but the time depends on it, and other processors leave it out.

/// Bytes that memory is fetched by.
const CACHE_LINE: usize = 64;

/// Asks for all cache lines of `values`, into the first-level cache.
#[inline(always)]
pub fn prefetch<T>(values: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for offset in (0..size_of_val(values)).step_by(CACHE_LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: `offset` lies within `values`; a prefetch has no effect on memory, and x86-64 always has SSE.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().cast::<i8>().add(offset)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, CACHE_LINE);
}

/// Asks for the cache line of `values[index]` and the `LINES` - 1 after it, if there is such a value.
#[inline(always)]
pub fn prefetch_lines<T, const LINES: usize>(values: &[T], index: usize) {
    if let Some(value) = values.get(index) {
        #[cfg(target_arch = "x86_64")]
        for line in 0..LINES {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let address = std::ptr::from_ref(value).cast::<i8>().wrapping_add(CACHE_LINE * line);
            // SAFETY: a prefetch has no effect on memory, whatever the address, and x86-64 always has SSE.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = value;
    }
}

/// Asks for the cache line of `values[index]`, if there is such a value.
#[inline(always)]
pub fn prefetch_line<T>(values: &[T], index: usize) {
    prefetch_lines::<T, 1>(values, index);
}

/// Asks for `value`, which is no longer than a cache line, into the second-level cache: it is needed some microseconds later.
#[inline(always)]
pub(crate) fn prefetch_early<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: as above; the address is that of a value.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(value).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
