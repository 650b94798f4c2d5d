//! Rows of which only the few values that are not zero are kept.

use std::cmp::Reverse;

use crate::error::EncodeError;

/// Sparse rows of one width, one after another (compressed sparse rows, as in scipy).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SparseRows {
    /// Row i is the values from `offsets[i]` up to, not including, `offsets[i + 1]`; one more number than rows.
    pub offsets: Vec<i64>,
    /// The column of each value, rising within a row.
    pub columns: Vec<i32>,
    /// The values, all above zero.
    pub values: Vec<f32>,
}

/// One row: its columns, rising, and its values.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SparseRow {
    columns: Box<[i32]>,
    values: Box<[f32]>,
}

impl SparseRow {
    /// The values of a dense row that are above zero; of more than `most`, the largest (of equal ones the first).
    pub(crate) fn of_dense(row: &[f32], most: usize) -> Self {
        let mut active: Vec<(i32, f32)> =
            (0_i32..).zip(row).filter(|(_, value)| **value > 0.0).map(|(column, value)| (column, *value)).collect();
        if active.len() > most {
            // Values above zero, so their bits are in their order.
            active.select_nth_unstable_by_key(most, |(column, value)| (Reverse(value.to_bits()), *column));
            active.truncate(most);
            active.sort_unstable_by_key(|(column, _)| *column);
        }
        Self {
            columns: active.iter().map(|(column, _)| *column).collect(),
            values: active.iter().map(|(_, value)| *value).collect(),
        }
    }
}

impl SparseRows {
    /// Joins rows. Each is freed as soon as it is copied.
    ///
    /// # Errors
    /// [`EncodeError::OutOfMemory`].
    pub(crate) fn join(rows: Vec<SparseRow>) -> Result<Self, EncodeError> {
        let count = rows.iter().map(|row| row.values.len()).fold(0, usize::saturating_add);
        let bytes = count.saturating_mul(size_of::<i32>() + size_of::<f32>());
        let mut joined = Self::default();
        joined
            .columns
            .try_reserve_exact(count)
            .and_then(|()| joined.values.try_reserve_exact(count))
            .and_then(|()| joined.offsets.try_reserve_exact(rows.len() + 1))
            .map_err(|_| EncodeError::no_memory_for_result(bytes))?;
        let mut end = 0_i64;
        joined.offsets.push(end);
        for row in rows {
            joined.columns.extend_from_slice(&row.columns);
            joined.values.extend_from_slice(&row.values);
            // A row has at most 2^31 columns.
            end += i64::try_from(row.values.len()).unwrap_or_default();
            joined.offsets.push(end);
        }
        Ok(joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_is_above_zero_is_kept() {
        let row = SparseRow::of_dense(&[0.0, 2.0, -0.0, 0.5, 1e-40], usize::MAX);
        assert_eq!((&*row.columns, &*row.values), (&[1, 3, 4][..], &[2.0, 0.5, 1e-40][..]));
        assert_eq!(SparseRow::of_dense(&[0.0; 3], 2), SparseRow::default());
    }

    #[test]
    fn of_equal_values_the_first_is_kept() {
        let row = SparseRow::of_dense(&[1.0, 3.0, 1.0, 2.0, 1.0], 3);
        assert_eq!((&*row.columns, &*row.values), (&[0, 1, 3][..], &[1.0, 3.0, 2.0][..]));
    }

    #[test]
    fn joined_rows_follow_each_other() {
        let rows = [&[0.0, 1.0][..], &[0.0, 0.0], &[2.0, 3.0]].map(|row| SparseRow::of_dense(row, 9));
        let joined = SparseRows::join(rows.to_vec()).unwrap();
        assert_eq!(joined.offsets, [0, 1, 1, 3]);
        assert_eq!(joined.columns, [1, 0, 1]);
        assert_eq!(joined.values, [1.0, 2.0, 3.0]);
        assert_eq!(SparseRows::join(Vec::new()).unwrap().offsets, [0]);
    }

    proptest! {
        #[test]
        fn the_largest_values_are_kept(row in prop::collection::vec(0_u8..6, 0..60), most in 1_usize..20) {
            let row: Vec<f32> = row.into_iter().map(f32::from).collect();
            let kept = SparseRow::of_dense(&row, most);
            let mut order: Vec<usize> = (0..row.len()).filter(|column| row[*column] > 0.0).collect();
            order.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
            order.truncate(most);
            order.sort_unstable();
            prop_assert_eq!(kept.columns.iter().map(|column| column.cast_unsigned() as usize).collect::<Vec<_>>(), order.clone());
            prop_assert_eq!(kept.values.to_vec(), order.into_iter().map(|column| row[column]).collect::<Vec<_>>());
        }
    }
}
