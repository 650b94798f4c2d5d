//! From the token vectors of one text to one vector.
//!
//! Reference: `Pooling` of sentence-transformers (`sentence_transformer/modules/pooling.py`).

/// How token vectors become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolingMode {
    /// The first token's vector.
    Cls,
    /// The largest value of each column.
    Max,
    /// The mean of each column.
    Mean,
    /// The sum of each column over the root of the number of tokens.
    MeanSqrtLen,
    /// The mean with weight i for the token at position i, from 1.
    WeightedMean,
    /// The last token's vector.
    LastToken,
}

/// Pools `hidden` (`[tokens, dim]`, one text) into `output` (`dim`), leaving out the first `excluded` tokens; `Cls` takes
/// the first token all the same, as the reference does. With no token left the result is zero.
pub fn pool(mode: PoolingMode, hidden: &[f32], excluded: usize, output: &mut [f32]) {
    let dim = output.len();
    assert!(dim > 0, "rows of no columns");
    assert_eq!(hidden.len() % dim, 0, "rows of {dim} columns");
    output.fill(0.0);
    let rows = || hidden.chunks_exact(dim).enumerate().skip(excluded);
    match mode {
        PoolingMode::Cls => copy_row(hidden.chunks_exact(dim).next(), output),
        PoolingMode::LastToken => copy_row(rows().last().map(|(_, row)| row), output),
        PoolingMode::Max => {
            copy_row(rows().next().map(|(_, row)| row), output);
            for (_, row) in rows().skip(1) {
                output.iter_mut().zip(row).for_each(|(largest, value)| *largest = larger(*value, *largest));
            }
        }
        PoolingMode::Mean => {
            let count = sum(rows().map(|(_, row)| (1.0, row)), output);
            divide(output, count);
        }
        PoolingMode::MeanSqrtLen => {
            let count = sum(rows().map(|(_, row)| (1.0, row)), output);
            divide(output, count.sqrt());
        }
        PoolingMode::WeightedMean => {
            let count = sum(rows().map(|(position, row)| (weight_of(position), row)), output);
            divide(output, count);
        }
    }
}

/// The larger value; NaN wins, so that it is seen.
fn larger(a: f32, b: f32) -> f32 {
    if a > b || a.is_nan() { a } else { b }
}

#[expect(clippy::cast_precision_loss, reason = "positions are far below 2^24")]
fn weight_of(position: usize) -> f32 {
    (position + 1) as f32
}

fn copy_row(row: Option<&[f32]>, output: &mut [f32]) {
    if let Some(row) = row {
        output.copy_from_slice(row);
    }
}

/// Adds weighted rows into `output` and returns the sum of the weights.
fn sum<'a>(rows: impl Iterator<Item = (f32, &'a [f32])>, output: &mut [f32]) -> f32 {
    let mut total = 0.0;
    for (weight, row) in rows {
        total += weight;
        output.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
    }
    total
}

fn divide(output: &mut [f32], divisor: f32) {
    if divisor > 0.0 {
        for value in output {
            *value /= divisor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pooled(mode: PoolingMode, excluded: usize) -> Vec<f32> {
        let hidden = [1.0, -2.0, 3.0, 4.0, -5.0, 6.0];
        let mut output = [0.0; 2];
        pool(mode, &hidden, excluded, &mut output);
        output.to_vec()
    }

    #[test]
    fn each_mode_by_hand() {
        assert_eq!(pooled(PoolingMode::Cls, 0), [1.0, -2.0]);
        assert_eq!(pooled(PoolingMode::Max, 0), [3.0, 6.0]);
        assert_eq!(pooled(PoolingMode::Mean, 0), [-1.0 / 3.0, 8.0 / 3.0]);
        assert_eq!(pooled(PoolingMode::MeanSqrtLen, 0), [-1.0 / 3.0_f32.sqrt(), 8.0 / 3.0_f32.sqrt()]);
        assert_eq!(pooled(PoolingMode::WeightedMean, 0), [(1.0 + 6.0 - 15.0) / 6.0, (-2.0 + 8.0 + 18.0) / 6.0]);
        assert_eq!(pooled(PoolingMode::LastToken, 0), [-5.0, 6.0]);
    }

    #[test]
    fn excluded_tokens_do_not_count_but_keep_their_positions() {
        assert_eq!(pooled(PoolingMode::Cls, 1), [1.0, -2.0]);
        assert_eq!(pooled(PoolingMode::Max, 2), [-5.0, 6.0]);
        assert_eq!(pooled(PoolingMode::Mean, 1), [-1.0, 5.0]);
        assert_eq!(pooled(PoolingMode::WeightedMean, 1), [(6.0 - 15.0) / 5.0, (8.0 + 18.0) / 5.0]);
        assert_eq!(pooled(PoolingMode::Mean, 3), [0.0, 0.0]);
    }
}
