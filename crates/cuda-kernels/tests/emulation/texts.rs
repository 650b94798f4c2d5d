//! Kernels that give one row a text: pooling, the weights of terms, means of table rows.

use cuda_kernels::{
    BagRows, Lengths, LogitChunk, Machine, Number, PoolingOutput, RowNumbers, embedding_bag_mean, pool, pool_logits,
};
use kernels::{Level, PoolingMode, TermFormula, TermPooling, VectorTable};

use crate::machine::{Emulation, emulation};
use crate::numbers::{Numbers, Rounded, assert_close, for_each_number};

const ENDS: [u32; 5] = [0, 1, 4, 21, 22];
const TOKENS: usize = 22;

#[test]
fn pooling() {
    for_each_number!(pooling_of);
}

fn pooling_of<T: Rounded>(machine: &Emulation) {
    let modes = [
        PoolingMode::Cls,
        PoolingMode::Max,
        PoolingMode::Mean,
        PoolingMode::MeanSqrtLen,
        PoolingMode::WeightedMean,
        PoolingMode::LastToken,
    ];
    let lengths = Lengths::upload(machine, &ENDS).unwrap();
    for columns in [3, 200] {
        let (hidden, values) = Numbers(9).upload::<T>(machine, TOKENS * columns);
        for excluded in [0, 2, 17, usize::MAX] {
            // All modes side by side.
            let width = modes.len() * columns;
            let mut rows = machine.reserve::<f32>(4 * width).unwrap();
            for (place, mode) in modes.into_iter().enumerate() {
                let mut output = PoolingOutput { rows: &mut rows, width, first_column: place * columns };
                pool(machine, mode, &lengths, &hidden, excluded, &mut output).unwrap();
            }
            let mut expected = vec![0.0; 4 * width];
            for (range, row) in ENDS.windows(2).zip(expected.chunks_mut(width)) {
                let of_text = &values[range[0] as usize * columns..range[1] as usize * columns];
                for (mode, part) in modes.into_iter().zip(row.chunks_mut(columns)) {
                    kernels::pool(mode, of_text, excluded, part);
                }
            }
            assert_close(&rows, &expected, 1.0, &format!("{columns} columns, {excluded} excluded"));
        }
    }
}

#[test]
fn the_largest_value_is_nan_if_one_is() {
    let Some(machine) = emulation() else { return };
    let lengths = Lengths::upload(&machine, &[0, 3]).unwrap();
    for place in 0..3 {
        let mut values = [1.0, 3.0, 2.0];
        values[place] = f32::NAN;
        let mut rows = machine.reserve::<f32>(1).unwrap();
        let hidden = machine.upload(&values).unwrap();
        let mut output = PoolingOutput { rows: &mut rows, width: 1, first_column: 0 };
        pool(&machine, PoolingMode::Max, &lengths, &hidden, 0, &mut output).unwrap();
        assert!(Emulation::download(&rows)[0].is_nan());
    }
}

/// The weights of all terms by the kernel, from chunks of logits.
fn weights_of<T: Number>(machine: &Emulation, formula: TermFormula, logits: &[T], bias: &[f32]) -> Vec<f32> {
    let lengths = Lengths::upload(machine, &ENDS).unwrap();
    let mut output = machine.reserve::<f32>(4 * bias.len()).unwrap();
    // The last chunk is shorter.
    for first_term in (0..bias.len()).step_by(150) {
        let columns = first_term..bias.len().min(first_term + 150);
        let chunk: Vec<T> = logits.chunks(bias.len()).flat_map(|row| row[columns.clone()].to_vec()).collect();
        let (logits, bias) = (machine.upload(&chunk).unwrap(), machine.upload(&bias[columns]).unwrap());
        let chunk = LogitChunk { logits: &logits, bias: &bias, first_term };
        pool_logits(machine, formula, &lengths, &chunk, 350, &mut output).unwrap();
    }
    Emulation::download(&output)
}

#[test]
fn weights_of_terms() {
    for_each_number!(weights_of_terms_of);
}

fn weights_of_terms_of<T: Rounded>(machine: &Emulation) {
    let terms = 350;
    let numbers = &mut Numbers(10);
    let logits: Vec<T> = numbers.take(TOKENS * terms).into_iter().map(|value| T::round(5.0 * value)).collect();
    let bias = numbers.take(terms);
    for pooling in [TermPooling::Max, TermPooling::Sum] {
        for twice in [false, true] {
            let found = weights_of(machine, TermFormula { pooling, twice }, &logits, &bias);
            // The specification multiplies a decoder as well, so its formula is repeated here in float64.
            for (text, range) in ENDS.windows(2).enumerate() {
                for term in 0..terms {
                    let of_token = |token: u32| {
                        let logit = f64::from(logits[token as usize * terms + term].widen()) + f64::from(bias[term]);
                        let once = logit.max(0.0).ln_1p();
                        if twice { once.ln_1p() } else { once }
                    };
                    let weights = (range[0]..range[1]).map(of_token);
                    let expected = match pooling {
                        TermPooling::Max => weights.fold(0.0, f64::max),
                        TermPooling::Sum => weights.sum(),
                    };
                    let difference = (f64::from(found[text * terms + term]) - expected).abs();
                    assert!(
                        difference <= 2e-6 * (1.0 + expected),
                        "{pooling:?}, {twice}, {text}, {term}: {difference:e}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_logit_that_is_not_finite_leaves_nan_behind() {
    let Some(machine) = emulation() else { return };
    for pooling in [TermPooling::Max, TermPooling::Sum] {
        for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut logits = vec![1.0_f32; TOKENS * 350];
            logits[6 * 350 + 349] = poison;
            let found = weights_of(&machine, TermFormula { pooling, twice: false }, &logits, &[0.5; 350]);
            // Token 6 is of text 2.
            let nan: Vec<usize> = (0..found.len()).filter(|place| found[*place].is_nan()).collect();
            assert_eq!(nan, [2 * 350 + 349], "{pooling:?} of {poison}");
        }
    }
}

#[test]
fn means_of_table_rows() {
    for_each_number!(means_of);
}

fn means_of<T: Rounded>(machine: &Emulation) {
    let numbers = &mut Numbers(11);
    // The second text is empty.
    let ends = [0, 5, 5, 30];
    for (table_columns, columns) in [(3, 3), (200, 200), (200, 131)] {
        let (table, values) = numbers.upload::<T>(machine, 19 * table_columns);
        let rows = numbers.rows(30, 19);
        let (weights, row_weights) = numbers.upload::<f32>(machine, 30);
        let uploaded = RowNumbers::upload(machine, &rows, 19).unwrap();
        let lengths = Lengths::upload(machine, &ends).unwrap();
        for weighted in [false, true] {
            let mut output = machine.reserve::<f32>(3 * columns).unwrap();
            let of_texts = BagRows { numbers: &uploaded, weights: weighted.then_some(&weights) };
            embedding_bag_mean(machine, &table, table_columns, &of_texts, &lengths, &mut output).unwrap();
            let mut expected = vec![0.0; 3 * columns];
            for (range, row) in ends.windows(2).zip(expected.chunks_mut(columns)) {
                let of_text = range[0] as usize..range[1] as usize;
                let weights = weighted.then_some(&row_weights[of_text.clone()]);
                let (level, table) = (Level::selected().unwrap(), VectorTable::F32(&values));
                kernels::embedding_bag_mean(level, table, table_columns, &rows[of_text], weights, row);
            }
            assert_close(&output, &expected, 1.0, &format!("{columns} of {table_columns} columns"));
        }
    }
}
