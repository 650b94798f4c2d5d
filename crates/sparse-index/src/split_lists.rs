//! How the documents of a term are split into lists by weight.

use kernels::WINDOW;

/// A term's postings per window from which its documents are split by weight: below, the lists would be too short to be worth it.
const SPLIT_FROM: usize = 16;
/// A list's postings per window from which it is a bitmap, 2 KiB against three bytes a posting.
const BITMAP_FROM: usize = WINDOW / 16;
/// Most bitmap lists made of one half of a term's documents.
const MOST_BITMAPS: usize = 4;

/// The ends, in documents from the heaviest, of the lists of a term with so many documents, and whether each may be a bitmap.
///
/// In a single window queries have too few postings to leave lists out, and in a small index their 14 bytes a list count: only
/// bitmaps are apart there.
pub(crate) fn plan_lists(windows: usize, count: usize) -> Vec<(usize, bool)> {
    let per_window = count / windows.max(1);
    if per_window < SPLIT_FROM {
        return vec![(count, false)];
    }
    let mut ends = vec![(count / 8, false), (count / 4, false), (count / 2, false)];
    if per_window < 4 * SPLIT_FROM {
        ends.remove(1);
    }
    let mut plan = Vec::new();
    let mut start = 0;
    for (end, _) in ends.into_iter().chain([(count, true)]) {
        let bitmaps = ((end - start) * per_window / count / BITMAP_FROM).min(MOST_BITMAPS);
        // The heaviest have the widest range of weights: never a bitmap.
        if start == 0 || bitmaps == 0 {
            plan.push((end, false));
        } else {
            plan.extend((1..=bitmaps).map(|part| (start + (end - start) * part / bitmaps, true)));
        }
        start = end;
    }
    if windows == 1 {
        let numbers = plan.iter().filter(|(_, is_bitmap)| !is_bitmap).count();
        plan.drain(..numbers.saturating_sub(1));
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::term_pieces::MOST_NUMBERS;

    #[test]
    fn ends_ascend_to_the_last_document_and_few_lists_are_numbers() {
        for windows in [1, 2, 3, 62, 611] {
            for count in (1..4000).chain([16_384, 50_000, 1_000_000, 10_000_000]) {
                if count > windows * WINDOW {
                    continue;
                }
                let plan = plan_lists(windows, count);
                assert!(plan.iter().zip(&plan[1..]).all(|(one, next)| one.0 < next.0), "{windows} {count}: {plan:?}");
                assert_eq!(plan.last().map(|(end, _)| *end), Some(count), "{windows} {count}: {plan:?}");
                let numbers = plan.iter().filter(|(_, is_bitmap)| !is_bitmap).count();
                assert!((1..=MOST_NUMBERS).contains(&numbers) && plan.len() <= 16, "{windows} {count}: {plan:?}");
                assert!(plan.iter().take(numbers).all(|(_, is_bitmap)| !is_bitmap), "{windows} {count}: {plan:?}");
            }
        }
    }
}
