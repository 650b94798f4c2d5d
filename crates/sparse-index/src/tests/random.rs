//! Reproducible random rows.

use crate::rows::CsrRows;

/// A stream of numbers (xorshift, Marsaglia 2003).
#[derive(Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// From 0 to below 1.
    pub(super) fn unit(&mut self) -> f64 {
        self.next() as f64 / (1_u64 << 53) as f64
    }
}

/// What the weights are like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Weights {
    /// As of a model: mostly small, up to 3.
    Usual,
    /// Eighths up to 2: sums are exact, so that equal scores are many and their order is known.
    Eighths,
    /// One value for all.
    Equal,
    /// From 1e-6 to 1e6.
    Wide,
    /// From 1e-30 to 1e30.
    Extreme,
    /// As `Usual`, of both signs: for queries only.
    Signed,
}

impl Weights {
    fn draw(self, random: &mut Random) -> f32 {
        let unit = random.unit();
        match self {
            Self::Usual => (0.002 + 3.0 * unit * unit * unit) as f32,
            Self::Eighths => (1 + random.below(16)) as f32 / 8.0,
            Self::Equal => 0.7,
            Self::Wide => 10_f64.powf(12.0 * unit - 6.0) as f32,
            Self::Extreme => 10_f64.powf(60.0 * unit - 30.0) as f32,
            Self::Signed => ((unit - 0.5) * 4.0) as f32,
        }
    }
}

/// Rows of one's own.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub(super) indptr: Vec<i64>,
    pub(super) indices: Vec<i32>,
    pub(super) values: Vec<f32>,
}

impl Rows {
    pub(super) fn new() -> Self {
        Self { indptr: vec![0], ..Self::default() }
    }

    pub(super) fn from(rows: &[&[(i32, f32)]]) -> Self {
        let mut all = Self::new();
        for row in rows {
            all.push(row);
        }
        all
    }

    pub(super) fn push(&mut self, row: &[(i32, f32)]) {
        self.indices.extend(row.iter().map(|entry| entry.0));
        self.values.extend(row.iter().map(|entry| entry.1));
        self.indptr.push(self.indices.len() as i64);
    }

    /// Random rows of 0 to `most` entries, in any order of terms; low terms are far more frequent.
    pub(super) fn random(random: &mut Random, rows: usize, most: usize, dimension: usize, weights: Weights) -> Self {
        let mut all = Self::new();
        for _ in 0..rows {
            let mut row: Vec<(i32, f32)> = Vec::new();
            for _ in 0..random.below(most + 1) {
                let unit = random.unit();
                let term = ((unit * unit * dimension as f64) as i32).min(dimension as i32 - 1);
                if row.iter().all(|entry| entry.0 != term) {
                    row.push((term, weights.draw(random)));
                }
            }
            all.push(&row);
        }
        all
    }

    pub(super) fn len(&self) -> usize {
        self.indptr.len() - 1
    }

    pub(super) fn row(&self, row: usize) -> Vec<(i32, f32)> {
        let range = self.indptr[row] as usize..self.indptr[row + 1] as usize;
        self.indices[range.clone()].iter().copied().zip(self.values[range].iter().copied()).collect()
    }

    pub(super) fn view(&self) -> CsrRows<'_> {
        CsrRows { indptr: &self.indptr, indices: &self.indices, values: &self.values }
    }

    /// Rows `start` to `end`.
    pub(super) fn part(&self, start: usize, end: usize) -> Self {
        let mut part = Self::new();
        (start..end).for_each(|row| part.push(&self.row(row)));
        part
    }
}
