//! No result depends on how an operation was split over threads.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use candle_core::{Device, Tensor};
use ops::{
    Activation, Embedding, FeedForward, Format, LayerNorm, Level, Linear, Pooling, PoolingMode, Processor, RaggedBatch,
    SelfAttention, Team, TermFormula, TermPooling, TermWeights,
};

/// Values in -1 to 1 that repeat only after 65,537.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count)
        .map(|i| f32::from(u16::try_from((i * 30_011 + seed * 977) % 65_537 % 65_536).unwrap()) / 32_768.0 - 1.0)
        .collect()
}

fn cpu() -> Processor {
    Level::detected().into()
}

fn matrix(rows: usize, columns: usize, seed: usize) -> Tensor {
    Tensor::from_vec(numbers(rows * columns, seed), (rows, columns), &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<u32> {
    tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

/// The bits of `operation` with this thread as the leader of a team.
fn with_team(threads: usize, operation: impl Fn() -> Tensor) -> Vec<u32> {
    let team = Team::new(threads);
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| team.help());
        }
        team.lead(|| values(&operation()))
    })
}

/// The bits of `operation` with one thread, which must be those with 2, 3 and 8, and those of teams.
fn same_with_any_threads(operation: impl Fn() -> Tensor + Sync) -> Vec<u32> {
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        values(&pool.install(&operation))
    };
    let alone = with(1);
    for threads in [2, 3, 8] {
        assert_eq!(alone, with(threads), "{threads} threads");
    }
    for threads in [1, 2, 3] {
        assert_eq!(alone, with_team(threads, &operation), "a team of {threads}");
    }
    alone
}

/// A layer with weights small enough that its sums stay about as large as its input.
fn linear(format: Format, input_features: usize, output_features: usize, seed: usize) -> Linear {
    let scale = 1.0 / f32::from(u16::try_from(input_features).unwrap()).sqrt();
    let weight: Vec<f32> = numbers(input_features * output_features, seed).iter().map(|value| value * scale).collect();
    Linear::new(&cpu(), format, &weight, &numbers(output_features, seed + 1), input_features).unwrap()
}

fn norm(columns: usize, seed: usize) -> LayerNorm {
    LayerNorm::new(&cpu(), numbers(columns, seed), numbers(columns, seed + 1), 1e-12).unwrap()
}

/// Few rows are split by features, many by rows: rows computed both ways must be the same.
#[test]
fn linear_layers_by_rows_and_by_features() {
    let (depth, width) = (130, 515);
    for format in [Format::Float32, Format::Bfloat16, Format::Int8, Format::GroupedInt8] {
        let layer = linear(format, depth, width, 3);
        let block =
            FeedForward::new(layer.clone(), Activation::Gelu, linear(format, width, depth, 5), norm(depth, 1)).unwrap();
        let many = matrix(1000, depth, 5);
        let plain = same_with_any_threads(|| layer.forward(&many, Activation::Gelu).unwrap());
        let summed = same_with_any_threads(|| block.forward(many.copy().unwrap()).unwrap());
        for (start, rows) in [(0, 1), (17, 9), (500, 40), (960, 40)] {
            let few = many.narrow(0, start, rows).unwrap().contiguous().unwrap();
            let bits = same_with_any_threads(|| layer.forward(&few, Activation::Gelu).unwrap());
            assert_eq!(bits, plain[start * width..(start + rows) * width]);
            let bits = same_with_any_threads(|| block.forward(few.copy().unwrap()).unwrap());
            assert_eq!(bits, summed[start * depth..(start + rows) * depth]);
        }
    }
}

/// A large weight has other tasks.
#[test]
fn linear_layers_of_large_weights() {
    let (depth, width) = (1024, 1030);
    let layer = linear(Format::Float32, depth, width, 1);
    let rows = matrix(700, depth, 3);
    let together = same_with_any_threads(|| layer.forward(&rows, Activation::Gelu).unwrap());
    for (start, count) in [(0, 1), (300, 97), (400, 290)] {
        let part = rows.narrow(0, start, count).unwrap().contiguous().unwrap();
        let bits = same_with_any_threads(|| layer.forward(&part, Activation::Gelu).unwrap());
        assert_eq!(bits, together[start * width..(start + count) * width]);
    }
}

#[test]
fn texts_alone_and_together() {
    // Heads that end within panels of weights, and heads that do not: a team splits the products of those by heads.
    check_texts((3, 25), Format::Float32, Format::Float32);
    check_texts((5, 32), Format::Float32, Format::Float32);
    check_texts((4, 32), Format::Int8, Format::Bfloat16);
}

fn check_texts((heads, head_dim): (usize, usize), format: Format, of_values: Format) {
    let level = Level::detected();
    let hidden = heads * head_dim;
    let embedding = Embedding::new(
        &level.into(),
        Format::Float32,
        numbers(40 * hidden, 3),
        numbers(450 * hidden, 4),
        norm(hidden, 1),
    )
    .unwrap();
    let weight: Vec<f32> = numbers(3 * hidden * hidden, 5).iter().map(|value| value / 10.0).collect();
    let (bias, square) = (numbers(3 * hidden, 6), hidden * hidden);
    let layers =
        [(format, &weight[..2 * square], &bias[..2 * hidden]), (of_values, &weight[2 * square..], &bias[2 * hidden..])];
    let query_key_value = Linear::side_by_side(&cpu(), hidden, &layers).unwrap();
    let output = linear(format, hidden, hidden, 7);
    let attention = SelfAttention::new(query_key_value, heads, output, norm(hidden, 9)).unwrap();
    let pooling = Pooling::new(&cpu(), vec![PoolingMode::Cls, PoolingMode::Mean, PoolingMode::Max]).unwrap();
    let forward = |batch: &RaggedBatch| {
        let hidden = embedding.forward(batch).unwrap();
        pooling.forward(&attention.forward(hidden, batch).unwrap(), batch, 0).unwrap()
    };
    let texts: Vec<Vec<u32>> =
        [1_u32, 7, 300, 64, 2, 450, 33].iter().map(|n| (0..*n).map(|i| (i * 7 + n) % 40).collect()).collect();
    let lengths = texts.iter().scan(0, |end, text| {
        *end += u32::try_from(text.len()).unwrap();
        Some(*end)
    });
    let together = RaggedBatch::new(texts.concat(), std::iter::once(0).chain(lengths).collect()).unwrap();
    let rows = same_with_any_threads(|| forward(&together));
    assert_eq!(same_with_any_threads(|| Team::new(1).lead(|| forward(&together))), rows, "all on one thread");
    let width = pooling.columns(hidden);
    for (text, row) in texts.iter().zip(rows.chunks(width)) {
        let alone = RaggedBatch::new(text.clone(), vec![0, u32::try_from(text.len()).unwrap()]).unwrap();
        assert_eq!(same_with_any_threads(|| forward(&alone)), row, "a text of {} tokens", text.len());
    }
}

#[test]
fn ids_lengths_and_shapes_beyond_the_tables_are_errors() {
    let level = Level::scalar();
    let norm = LayerNorm::new(&cpu(), vec![1.0; 4], vec![0.0; 4], 1e-12).unwrap();
    let embedding =
        Embedding::new(&level.into(), Format::Float32, numbers(5 * 4, 1), numbers(3 * 4, 2), norm.clone()).unwrap();
    let error = |ids: Vec<u32>, ends: Vec<u32>| {
        embedding.forward(&RaggedBatch::new(ids, ends).unwrap()).unwrap_err().to_string()
    };
    let message = error(vec![0, 1, 5], vec![0, 1, 3]);
    assert!(message.starts_with("embedding: token 2: expected an id below 5, found 5"), "{message}");
    let message = error(vec![0, u32::MAX], vec![0, 2]);
    assert!(message.starts_with("embedding: token 1: expected an id below 5, found 4294967295"), "{message}");
    let message = error(vec![0; 5], vec![0, 1, 5]);
    assert!(message.starts_with("embedding: text 1 of the batch: expected at most 3 tokens, found 4"), "{message}");

    assert!(Linear::new(&level.into(), Format::Float32, &[0.0; 7], &[0.0; 2], 4).is_err());
    let layer = Linear::new(&level.into(), Format::Float32, &[0.0; 8], &[0.0; 2], 4).unwrap();
    assert!(layer.forward(&matrix(2, 5, 1), Activation::Identity).is_err());
    let square = linear(Format::Float32, 4, 4, 1);
    assert!(FeedForward::new(square.clone(), Activation::Relu, layer.clone(), norm.clone()).is_err());
    assert!(SelfAttention::new(square.clone(), 2, square.clone(), norm.clone()).is_err());
    let attention = |heads| SelfAttention::new(linear(Format::Float32, 4, 12, 1), heads, square.clone(), norm.clone());
    assert!(attention(0).is_err());
    assert!(attention(3).is_err());
    let batch = RaggedBatch::new(vec![0; 3], vec![0, 3]).unwrap();
    let error = attention(2).unwrap().forward(matrix(2, 4, 1), &batch).unwrap_err().to_string();
    assert!(error.starts_with("self-attention: expected 3 rows, found 2"), "{error}");
    assert!(attention(2).unwrap().forward(matrix(3, 5, 1), &batch).is_err());
    let integers = Tensor::zeros((3, 4), candle_core::DType::U32, &Device::Cpu).unwrap();
    assert!(attention(2).unwrap().forward(integers, &batch).is_err());
    assert!(Linear::new(&cpu(), Format::Float16, &[0.0; 8], &[0.0; 2], 4).is_err());
    assert!(LayerNorm::new(&cpu(), vec![1.0], vec![], 1e-12).is_err());
    assert!(Pooling::new(&cpu(), vec![]).is_err());
}

/// The terms are split over threads, and a text's weights are the same alone.
#[test]
fn term_weights_alone_and_together() {
    let (depth, terms) = (40, 1300);
    let level = Level::detected();
    let lengths = [1_u32, 30, 7, 400];
    let hidden = matrix(438, depth, 1);
    let batch = |lengths: &[u32]| {
        let ends = lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(*end)
        });
        let tokens = lengths.iter().sum::<u32>() as usize;
        RaggedBatch::new(vec![0; tokens], std::iter::once(0).chain(ends).collect()).unwrap()
    };
    for pooling in [TermPooling::Max, TermPooling::Sum] {
        let formula = TermFormula { pooling, twice: false };
        let layer = TermWeights::new(
            &level.into(),
            Format::Bfloat16,
            &numbers(terms * depth, 2),
            numbers(terms, 3),
            depth,
            formula,
        )
        .unwrap();
        assert_eq!(layer.terms(), terms);
        let together = same_with_any_threads(|| layer.forward(&hidden, &batch(&lengths)).unwrap());
        let mut first = 0;
        for (length, row) in lengths.iter().zip(together.chunks(terms)) {
            let alone = hidden.narrow(0, first, *length as usize).unwrap().contiguous().unwrap();
            first += *length as usize;
            assert_eq!(same_with_any_threads(|| layer.forward(&alone, &batch(&[*length])).unwrap()), row);
        }
        let error = layer.forward(&hidden, &batch(&[400])).unwrap_err().to_string();
        assert!(error.contains("expected 400 rows, found 438"), "{error}");
    }
}

#[test]
fn layer_norm_of_rows() {
    let norm = LayerNorm::new(&cpu(), numbers(70, 1), numbers(70, 2), 1e-12).unwrap();
    let (rows, level) = (matrix(3000, 70, 3), Level::detected());
    let bits = same_with_any_threads(|| norm.forward(level, &rows).unwrap());
    let alone = rows.narrow(0, 1234, 1).unwrap().contiguous().unwrap();
    assert_eq!(values(&norm.forward(level, &alone).unwrap()), bits[1234 * 70..1235 * 70]);
}
