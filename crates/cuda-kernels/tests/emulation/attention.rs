//! Attention over ragged batches, both kernels.

use cuda_kernels::{Lengths, Machine, attention};
use kernels::{AttentionScratch, AttentionShape, Format, Level};

use crate::machine::{Emulation, emulation};
use crate::numbers::{Numbers, Rounded, assert_close, for_each_number};

/// One token, less than a tile, exactly one, one more, more than a block of queries and keys.
const ENDS: [u32; 6] = [0, 1, 8, 24, 41, 171];

/// The specification, text by text.
fn expected(shape: AttentionShape, qkv: &[f32], ends: &[u32]) -> Vec<f32> {
    let hidden = shape.hidden();
    let mut rows = Vec::new();
    for range in ends.windows(2) {
        let (start, end) = (range[0] as usize, range[1] as usize);
        let mut output = vec![0.0; (end - start) * hidden];
        let of_text = &qkv[start * 3 * hidden..end * 3 * hidden];
        let scratch = &mut AttentionScratch::default();
        kernels::attention(
            Level::selected().unwrap(),
            Format::Float32,
            shape,
            of_text,
            0..end - start,
            scratch,
            &mut output,
        );
        rows.extend(output);
    }
    rows
}

#[test]
fn every_head_size_over_a_ragged_batch() {
    for_each_number!(every_head_size);
}

fn every_head_size<T: Rounded>(machine: &Emulation) {
    let numbers = &mut Numbers(5);
    let lengths = Lengths::upload(machine, &ENDS).unwrap();
    // 130 is too wide for tiles, and its keys come in smaller steps.
    for (heads, head_dim) in [(2, 25), (3, 32), (1, 40), (2, 64), (1, 128), (1, 130), (2, 7)] {
        let shape = AttentionShape { heads, head_dim };
        let hidden = heads * head_dim;
        let (qkv, values) = numbers.upload::<T>(machine, 171 * 3 * hidden);
        let mut output = machine.reserve::<T>(171 * hidden).unwrap();
        attention(machine, shape, &lengths, &qkv, &mut output).unwrap();
        // Weights are rounded once more on tensor cores, and sum to 1.
        assert_close(&output, &expected(shape, &values, &ENDS), 2.0, &format!("{heads} heads of {head_dim}"));
    }
}

/// Scores far apart: a softmax that were not rescaled to the largest so far would overflow or lose everything.
#[test]
fn large_scores() {
    for_each_number!(large_scores_of);
}

fn large_scores_of<T: Rounded>(machine: &Emulation) {
    let shape = AttentionShape { heads: 1, head_dim: 32 };
    let ends = [0, 150];
    let lengths = Lengths::upload(machine, &ends).unwrap();
    let scaled: Vec<T> = Numbers(6).take(150 * 96).into_iter().map(|value| T::round(value * 20.0)).collect();
    let values: Vec<f32> = scaled.iter().map(|value| value.widen()).collect();
    let mut output = machine.reserve::<T>(150 * 32).unwrap();
    attention(machine, shape, &lengths, &machine.upload(&scaled).unwrap(), &mut output).unwrap();
    // Scores of some hundreds: float32's own rounding of them shows in the weights.
    let roundings = if T::ROUNDING < 1e-4 { 200.0 } else { 2.0 };
    assert_close(&output, &expected(shape, &values, &ends), roundings, "large scores");
}

/// The bits of a text do not depend on the texts beside it, whatever the kernel.
#[test]
fn a_text_does_not_depend_on_its_neighbours() {
    for_each_number!(alone_and_together);
}

fn alone_and_together<T: Rounded>(machine: &Emulation) {
    let shape = AttentionShape { heads: 2, head_dim: 32 };
    let values: Vec<T> = Numbers(7).take(171 * 192).into_iter().map(T::round).collect();
    let run = |values: &[T], ends: &[u32]| -> Vec<f32> {
        let lengths = Lengths::upload(machine, ends).unwrap();
        let mut output = machine.reserve::<T>(lengths.tokens() * 64).unwrap();
        attention(machine, shape, &lengths, &machine.upload(values).unwrap(), &mut output).unwrap();
        Emulation::download(&output).into_iter().map(T::widen).collect()
    };
    let together = run(&values, &ENDS);
    for range in ENDS.windows(2) {
        let (start, end) = (range[0] as usize, range[1] as usize);
        let alone = run(&values[start * 192..end * 192], &[0, range[1] - range[0]]);
        assert_eq!(alone, together[start * 64..end * 64], "tokens {start} to {end}");
    }
}

#[test]
fn nan_reaches_every_query_of_its_text_and_no_other() {
    let Some(machine) = emulation() else { return };
    let shape = AttentionShape { heads: 1, head_dim: 32 };
    let lengths = Lengths::upload(&machine, &[0, 20, 40]).unwrap();
    let mut values: Vec<half::f16> = Numbers(8).take(40 * 96).into_iter().map(half::f16::from_f32).collect();
    // A key of the second text.
    values[30 * 96 + 32] = half::f16::NAN;
    let mut output = machine.reserve(40 * 32).unwrap();
    attention(&machine, shape, &lengths, &machine.upload(&values).unwrap(), &mut output).unwrap();
    let found: Vec<bool> = Emulation::download(&output).into_iter().map(half::f16::is_nan).collect();
    assert!(!found[..20 * 32].contains(&true) && !found[20 * 32..].contains(&false));
}
