//! Kernels that take row by row: normalisation, embedding, activation.

use cuda_kernels::{
    EmbeddingTables, LayerNorm, Machine, RowNumbers, add_bias_activate, add_layer_norm, embedding_layer_norm,
    l2_normalize,
};
use kernels::{Activation, Level};

use crate::machine::{Emulation, emulation};
use crate::numbers::{Numbers, Rounded, assert_close, for_each_number};

/// Less than a warp, whole warps, and odd ones.
const COLUMNS: [usize; 4] = [5, 64, 100, 384];
const EPSILON: f32 = 1e-5;

fn level() -> Level {
    Level::selected().unwrap()
}

#[test]
fn layer_norm_of_a_sum() {
    for_each_number!(layer_norm_of);
}

fn layer_norm_of<T: Rounded>(machine: &Emulation) {
    let numbers = &mut Numbers(1);
    for columns in COLUMNS {
        // Not whole blocks of rows.
        let rows = 11;
        let (weight, weights) = numbers.upload::<f32>(machine, columns);
        let (shift, shifts) = numbers.upload::<f32>(machine, columns);
        let (bias, biases) = numbers.upload::<f32>(machine, columns);
        let (residual, residuals) = numbers.upload::<T>(machine, rows * columns);
        let (input, inputs) = numbers.upload::<T>(machine, rows * columns);
        let norm = LayerNorm { weight: &weight, bias: &shift, epsilon: EPSILON };
        let spec = kernels::LayerNorm { weight: &weights, bias: &shifts, epsilon: EPSILON };

        let mut output = machine.reserve::<T>(rows * columns).unwrap();
        add_layer_norm(machine, &norm, &input, None, None, &mut output).unwrap();
        let mut expected = inputs.clone();
        kernels::layer_norm(level(), spec, &mut expected);
        assert_close(&output, &expected, 2.0, &format!("layer norm of {columns}"));

        add_layer_norm(machine, &norm, &input, Some(&bias), Some(&residual), &mut output).unwrap();
        let mut expected: Vec<f32> =
            inputs.iter().zip(biases.iter().cycle()).map(|(value, bias)| value + bias).collect();
        kernels::add_layer_norm(level(), spec, &[&residuals], &mut expected);
        assert_close(&output, &expected, 2.0, &format!("layer norm of a sum of {columns}"));
    }
}

#[test]
fn embedding() {
    for_each_number!(embedding_of);
}

fn embedding_of<T: Rounded>(machine: &Emulation) {
    let numbers = &mut Numbers(2);
    for columns in COLUMNS {
        let (vocabulary, positions, tokens) = (17, 9, 13);
        let (word, words) = numbers.upload::<T>(machine, vocabulary * columns);
        let (position, position_rows) = numbers.upload::<T>(machine, positions * columns);
        let (weight, weights) = numbers.upload::<f32>(machine, columns);
        let (bias, biases) = numbers.upload::<f32>(machine, columns);
        let (ids, places) = (numbers.rows(tokens, 17), numbers.rows(tokens, 9));
        let token_ids = RowNumbers::upload(machine, &ids, vocabulary).unwrap();
        let of_tokens = RowNumbers::upload(machine, &places, positions).unwrap();
        let mut output = machine.reserve::<T>(tokens * columns).unwrap();
        let norm = LayerNorm { weight: &weight, bias: &bias, epsilon: EPSILON };
        let tables = EmbeddingTables { word: &word, position: &position };
        embedding_layer_norm(machine, &tables, &norm, &token_ids, &of_tokens, &mut output).unwrap();

        let mut expected = vec![0.0; tokens * columns];
        let tables = kernels::EmbeddingTables { word: &words, position: &position_rows, dim: columns };
        let norm = kernels::LayerNorm { weight: &weights, bias: &biases, epsilon: EPSILON };
        kernels::embedding_sum(level(), tables, norm, &ids, &places, &mut expected);
        assert_close(&output, &expected, 2.0, &format!("embedding of {columns}"));
    }
}

#[test]
fn bias_and_activation() {
    for_each_number!(bias_and_activation_of);
}

fn bias_and_activation_of<T: Rounded>(machine: &Emulation) {
    let numbers = &mut Numbers(3);
    for activation in Activation::ALL {
        for columns in [3, 300] {
            let (bias, mut biases) = numbers.upload::<f32>(machine, columns);
            let (mut rows, inputs) = numbers.upload::<T>(machine, 7 * columns);
            add_bias_activate(machine, activation, &bias, &mut rows).unwrap();
            biases = biases.repeat(7);
            let mut expected: Vec<f32> = inputs.iter().zip(biases).map(|(value, bias)| value + bias).collect();
            kernels::activate(level(), activation, &mut expected);
            assert_close(&rows, &expected, 1.0, &format!("{activation:?} of {columns}"));
        }
    }
}

/// The exact form of GELU differs from the tanh form by up to 5e-4: the test must tell them apart.
#[test]
fn gelu_is_exact_over_its_whole_range() {
    let Some(machine) = emulation() else { return };
    let values: Vec<f32> = (-600_i16..=600).map(|step| f32::from(step) / 100.0).collect();
    let bias = machine.upload(&[0.0_f32]).unwrap();
    for activation in [Activation::Gelu, Activation::GeluTanh] {
        let mut rows = machine.upload(&values).unwrap();
        add_bias_activate(&machine, activation, &bias, &mut rows).unwrap();
        let mut expected = values.clone();
        kernels::activate(level(), activation, &mut expected);
        assert_close(&rows, &expected, 1.0, &format!("{activation:?}"));
    }
}

#[test]
fn infinities_and_nan_pass_through_activations() {
    let Some(machine) = emulation() else { return };
    let bias = machine.upload(&[0.0_f32]).unwrap();
    for activation in [Activation::Identity, Activation::Gelu, Activation::Relu] {
        let mut rows = machine.upload(&[f32::NAN, f32::INFINITY]).unwrap();
        add_bias_activate(&machine, activation, &bias, &mut rows).unwrap();
        let found = Emulation::download(&rows);
        assert!(found[0].is_nan() && found[1] == f32::INFINITY, "{activation:?}: {found:?}");
    }
}

#[test]
fn rows_of_length_one() {
    let Some(machine) = emulation() else { return };
    let numbers = &mut Numbers(4);
    for columns in COLUMNS {
        let (mut rows, mut expected) = numbers.upload::<f32>(&machine, 6 * columns);
        l2_normalize(&machine, &mut rows, columns).unwrap();
        kernels::l2_normalize(level(), &mut expected, columns);
        assert_close(&rows, &expected, 1.0, &format!("rows of {columns}"));
    }
    let mut zero = machine.upload(&[0.0_f32; 40]).unwrap();
    l2_normalize(&machine, &mut zero, 40).unwrap();
    assert_close(&zero, &[0.0; 40], 0.0, "a zero row");
}
