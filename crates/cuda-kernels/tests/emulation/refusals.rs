//! What does not fit together never reaches a kernel.

use cuda_kernels::{
    BagRows, EmbeddingTables, Error, LayerNorm, Lengths, LogitChunk, Machine, NumberKind, PoolingOutput, RowNumbers,
    add_bias_activate, add_layer_norm, attention, attention_program, embedding_bag_mean, embedding_layer_norm,
    l2_normalize, layer_norm_program, pool, pool_logits,
};
use kernels::{Activation, AttentionShape, PoolingMode, TermFormula, TermPooling};

use crate::machine::{Emulation, Guarded};

fn floats(count: usize) -> Guarded<f32> {
    Emulation.upload(&vec![0.0; count]).unwrap()
}

fn lengths() -> Lengths<Emulation> {
    Lengths::upload(&Emulation, &[0, 2, 5]).unwrap()
}

/// The words of a refusal.
fn refused(result: Result<(), Error>) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Shape { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn lengths_and_rows_are_checked_on_the_way_to_the_device() {
    for ends in [vec![], vec![1, 3], vec![0, 3, 2]] {
        assert!(Lengths::upload(&Emulation, &ends).is_err(), "{ends:?}");
    }
    let error = RowNumbers::upload(&Emulation, &[3, 7], 7).err().unwrap().to_string();
    assert_eq!(error, "row numbers: expected a row below 7, found 7 at place 1");
}

#[test]
fn rows_of_other_lengths() {
    let refusal = refused(add_bias_activate(&Emulation, Activation::Gelu, &floats(4), &mut floats(9)));
    assert_eq!(refusal, "add_bias_activate: expected rows of [2, 4], found 9 values");
    refused(add_bias_activate(&Emulation, Activation::Gelu, &floats(0), &mut floats(9)));
    refused(l2_normalize(&Emulation, &mut floats(9), 4));
    refused(l2_normalize(&Emulation, &mut floats(9), 0));

    let (weight, bias) = (floats(4), floats(4));
    let norm = LayerNorm { weight: &weight, bias: &bias, epsilon: 1e-5 };
    refused(add_layer_norm(&Emulation, &norm, &floats(9), None, None, &mut floats(9)));
    refused(add_layer_norm(&Emulation, &norm, &floats(8), None, None, &mut floats(4)));
    refused(add_layer_norm(&Emulation, &norm, &floats(8), Some(&floats(3)), None, &mut floats(8)));
    refused(add_layer_norm(&Emulation, &norm, &floats(8), None, Some(&floats(4)), &mut floats(8)));
    let norm = LayerNorm { weight: &weight, bias: &floats(3), epsilon: 1e-5 };
    refused(add_layer_norm(&Emulation, &norm, &floats(8), None, None, &mut floats(8)));
}

#[test]
fn tables_smaller_than_what_their_rows_were_checked_against() {
    let rows = RowNumbers::upload(&Emulation, &[0, 1, 2, 0, 1], 3).unwrap();
    let (weight, bias, table) = (floats(4), floats(4), floats(12));
    let norm = LayerNorm { weight: &weight, bias: &bias, epsilon: 1e-5 };
    for (word, position) in [(floats(8), floats(12)), (floats(12), floats(8))] {
        let tables = EmbeddingTables { word: &word, position: &position };
        refused(embedding_layer_norm(&Emulation, &tables, &norm, &rows, &rows, &mut floats(20)));
    }
    let tables = EmbeddingTables { word: &table, position: &table };
    refused(embedding_layer_norm(&Emulation, &tables, &norm, &rows, &rows, &mut floats(16)));

    let bag = BagRows { numbers: &rows, weights: None };
    refused(embedding_bag_mean(&Emulation, &floats(8), 4, &bag, &lengths(), &mut floats(8)));
    refused(embedding_bag_mean(&Emulation, &table, 4, &bag, &lengths(), &mut floats(10)));
    let bag = BagRows { numbers: &rows, weights: Some(&floats(4)) };
    refused(embedding_bag_mean(&Emulation, &table, 4, &bag, &lengths(), &mut floats(8)));
}

#[test]
fn batches_of_other_lengths() {
    let shape = AttentionShape { heads: 2, head_dim: 4 };
    refused(attention(&Emulation, shape, &lengths(), &floats(4 * 24), &mut floats(5 * 8)));
    refused(attention(&Emulation, shape, &lengths(), &floats(5 * 24), &mut floats(4 * 8)));

    let mut rows = floats(12);
    let mut output = PoolingOutput { rows: &mut rows, width: 6, first_column: 4 };
    refused(pool(&Emulation, PoolingMode::Mean, &lengths(), &floats(15), 0, &mut output));
    output.first_column = 0;
    refused(pool(&Emulation, PoolingMode::Mean, &lengths(), &floats(14), 0, &mut output));
    output.width = 7;
    refused(pool(&Emulation, PoolingMode::Mean, &lengths(), &floats(15), 0, &mut output));

    let formula = TermFormula { pooling: TermPooling::Max, twice: false };
    let (logits, bias) = (floats(15), floats(3));
    let mut chunk = LogitChunk { logits: &logits, bias: &bias, first_term: 5 };
    refused(pool_logits(&Emulation, formula, &lengths(), &chunk, 7, &mut floats(14)));
    chunk.first_term = 4;
    refused(pool_logits(&Emulation, formula, &lengths(), &chunk, 7, &mut floats(13)));
    chunk.bias = &logits;
    refused(pool_logits(&Emulation, formula, &lengths(), &chunk, 70, &mut floats(140)));
}

#[test]
fn sizes_that_the_kernels_are_not_made_for() {
    let error = attention_program(NumberKind::Float32, 513).unwrap_err().to_string();
    assert_eq!(error, "columns of an attention head: expected at most 512 on a CUDA device, found 513");
    let error = layer_norm_program(NumberKind::Float32, 4097).unwrap_err().to_string();
    assert_eq!(error, "columns of a layer normalisation: expected at most 4096 on a CUDA device, found 4097");
}
