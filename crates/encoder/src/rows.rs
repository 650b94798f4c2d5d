//! What is done to the model's rows before the caller sees them.

use crate::error::EncodeError;

/// Keeps the first `dimension` values of each row: `[n, width]` to `[n, min(dimension, width)]`, row-major.
pub(crate) fn truncate(rows: Vec<f32>, width: usize, dimension: usize) -> Vec<f32> {
    if dimension >= width {
        return rows;
    }
    rows.chunks_exact(width).flat_map(|row| row.iter().take(dimension).copied()).collect()
}

/// Refuses NaN and infinity in the vectors of `texts`, one vector a text.
///
/// # Errors
/// [`EncodeError::NonFinite`] naming the lowest of `texts` that has one; [`EncodeError::Internal`] if there are not as many
/// vectors as texts.
pub(crate) fn check_finite<'a>(
    vectors: impl ExactSizeIterator<Item = &'a [f32]>,
    texts: &[usize],
) -> Result<(), EncodeError> {
    if vectors.len() != texts.len() {
        let message = format!("the model returned {} rows for {} texts", vectors.len(), texts.len());
        return Err(EncodeError::Internal(message));
    }
    let lowest = vectors
        .zip(texts)
        .filter(|(vector, _)| vector.iter().any(|value| !value.is_finite()))
        .map(|(_, &text)| text)
        .min();
    lowest.map_or(Ok(()), |index| Err(EncodeError::NonFinite { index }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncation_keeps_the_first_values_of_each_row() {
        assert_eq!(truncate(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3, 2), [1.0, 2.0, 4.0, 5.0]);
    }

    #[test]
    fn truncation_to_the_width_or_more_changes_nothing() {
        for dimension in [2, 3, usize::MAX] {
            assert_eq!(truncate(vec![1.0, 2.0, 3.0, 4.0], 2, dimension), [1.0, 2.0, 3.0, 4.0]);
        }
    }

    #[test]
    fn the_lowest_text_with_a_non_finite_value_is_named() {
        let rows = [0.0, f32::NAN, 1.0, 1.0, f32::NEG_INFINITY, 0.0];
        let error = check_finite(rows.chunks_exact(2), &[7, 1, 4]).unwrap_err();
        assert!(matches!(error, EncodeError::NonFinite { index: 4 }), "{error}");
        check_finite(rows[2..4].chunks_exact(2), &[1]).unwrap();
    }

    #[test]
    fn a_wrong_number_of_rows_is_an_internal_error() {
        let error = check_finite([0.0; 4].chunks_exact(2), &[0]).unwrap_err();
        assert_eq!(error.to_string(), "internal error: the model returned 2 rows for 1 texts");
    }
}
