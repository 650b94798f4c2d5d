//! The caller's vectors, checked once at the door.

use std::borrow::Cow;
use std::ops::Range;

use kernels::RowScratch;

use crate::error::{IndexError, RowProblem};
use crate::options::Cancel;
use crate::threads;

/// Rows checked by one task.
const CHECK_ROWS: usize = 1 << 12;

/// Rows in compressed sparse row form (CSR, as in scipy), borrowed from the caller. Nothing about them is trusted.
#[derive(Clone, Copy, Debug)]
pub struct CsrRows<'a> {
    /// `[rows + 1]`: row i is at `indptr[i]..indptr[i + 1]` of the other two; from 0 to their length.
    pub indptr: &'a [i64],
    /// `[non-zeros]`: term ids, within a row in any order and each once.
    pub indices: &'a [i32],
    /// `[non-zeros]`: weights, finite.
    pub values: &'a [f32],
}

/// Whose weights the rows hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Weights below zero are refused.
    Documents,
    /// Any finite weight.
    Queries(&'static str),
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Documents => "vectors",
            Self::Queries(name) => name,
        }
    }
}

/// Rows whose terms ascend, without duplicates and zeros, all weights finite and all terms below the dimension.
///
/// Borrowed as they are where the caller's rows are like that already, which avoids a copy of the collection.
#[derive(Clone, Debug, Default)]
pub(crate) struct SparseRows<'a> {
    starts: Cow<'a, [i64]>,
    terms: Cow<'a, [u32]>,
    weights: Cow<'a, [f32]>,
}

impl<'a> SparseRows<'a> {
    /// Checks `rows`; sorts rows by term and drops zeros where needed. Without a dimension every term id from 0 is right.
    pub(crate) fn check(rows: CsrRows<'a>, role: Role, dimension: Option<u32>) -> Result<Self, IndexError> {
        Self::check_on(1, &|| false, rows, role, dimension)
    }

    /// As [`SparseRows::check`], on several threads.
    pub(crate) fn check_on(
        threads: usize,
        cancel: &Cancel<'_>,
        rows: CsrRows<'a>,
        role: Role,
        dimension: Option<u32>,
    ) -> Result<Self, IndexError> {
        let what = role.name();
        check_layout(rows, what)?;
        let limit = dimension.unwrap_or(1 << 31);
        let count = rows.indptr.len() - 1;
        let check = |range: Range<usize>| {
            let mut ready = true;
            for row in range {
                let (terms, weights) = slice(rows.indptr, rows.indices, rows.values, row);
                ready &= is_ready(terms, weights, role, limit)
                    || check_row(terms, weights, role, limit).map_err(|problem| IndexError::Row {
                        what,
                        row,
                        problem,
                    })?;
            }
            Ok(ready)
        };
        let ready = if threads == 1 || count <= CHECK_ROWS {
            check(0..count)?
        } else {
            let parts = threads::map(threads, count.div_ceil(CHECK_ROWS), cancel, |task| {
                check(task * CHECK_ROWS..count.min((task + 1) * CHECK_ROWS))
            })?;
            parts.into_iter().all(|ready| ready)
        };
        let terms: &[u32] = bytemuck::cast_slice(rows.indices);
        if ready {
            return Ok(Self {
                starts: Cow::Borrowed(rows.indptr),
                terms: Cow::Borrowed(terms),
                weights: Cow::Borrowed(rows.values),
            });
        }
        let mut sorted = Builder::with_capacity(rows.indptr.len() - 1, terms.len());
        let mut pairs = Vec::new();
        for row in 0..rows.indptr.len() - 1 {
            let (terms, weights) = slice(rows.indptr, terms, rows.values, row);
            pairs.clear();
            pairs.extend(terms.iter().copied().zip(weights.iter().copied()).filter(|pair| pair.1 != 0.0));
            pairs.sort_unstable_by_key(|pair| pair.0);
            sorted.push(pairs.iter().copied());
        }
        Ok(sorted.finish())
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Number of non-zeros.
    pub(crate) fn non_zeros(&self) -> usize {
        self.terms.len()
    }

    /// The terms and weights of a row below [`SparseRows::len`].
    pub(crate) fn row(&self, row: usize) -> (&[u32], &[f32]) {
        slice(&self.starts, &self.terms, &self.weights, row)
    }

    /// Asks for the terms and weights of a row from its `place`-th on.
    #[inline]
    pub(crate) fn prefetch(&self, row: usize, place: usize) {
        if let Some(start) = self.starts.get(row).and_then(|&start| usize::try_from(start).ok()) {
            kernels::prefetch_lines::<_, 2>(&self.terms, start + place);
            kernels::prefetch_lines::<_, 2>(&self.weights, start + place);
        }
    }

    /// One more than the highest term.
    pub(crate) fn smallest_dimension(&self) -> u32 {
        (0..self.len()).filter_map(|row| self.row(row).0.last()).max().map_or(0, |term| term + 1)
    }
}

/// Makes rows one by one; the caller keeps the promises of [`SparseRows`].
#[derive(Debug)]
pub(crate) struct Builder {
    starts: Vec<i64>,
    terms: Vec<u32>,
    weights: Vec<f32>,
    scratch: RowScratch,
}

impl Builder {
    pub(crate) fn with_capacity(rows: usize, non_zeros: usize) -> Self {
        let mut starts = Vec::with_capacity(rows + 1);
        starts.push(0);
        Self {
            starts,
            terms: Vec::with_capacity(non_zeros),
            weights: Vec::with_capacity(non_zeros),
            scratch: RowScratch::default(),
        }
    }

    pub(crate) fn push(&mut self, row: impl Iterator<Item = (u32, f32)>) {
        for (term, weight) in row {
            self.terms.push(term);
            self.weights.push(weight);
        }
        // A Vec's length fits i64.
        self.starts.push(i64::try_from(self.terms.len()).unwrap_or(i64::MAX));
    }

    /// Adds the row that `append` appends to the terms and weights. Returns whether it is one: terms ascend below the
    /// dimension, weights are finite and above zero.
    pub(crate) fn push_with(
        &mut self,
        dimension: u32,
        append: impl FnOnce(&mut RowScratch, &mut Vec<u32>, &mut Vec<f32>),
    ) -> bool {
        let start = self.terms.len();
        append(&mut self.scratch, &mut self.terms, &mut self.weights);
        self.starts.push(i64::try_from(self.terms.len()).unwrap_or(i64::MAX));
        let (terms, weights) =
            (self.terms.get(start..).unwrap_or_default(), &self.weights.get(start..).unwrap_or_default());
        terms.len() == weights.len()
            && terms.windows(2).all(|pair| pair[0] < pair[1])
            && terms.last().is_none_or(|&term| term < dimension)
            && weights.iter().all(|&weight| weight > 0.0 && weight.is_finite())
    }

    pub(crate) fn finish(self) -> SparseRows<'static> {
        SparseRows { starts: Cow::Owned(self.starts), terms: Cow::Owned(self.terms), weights: Cow::Owned(self.weights) }
    }
}

/// Row `row` of checked rows; empty if the caller changes the arrays under our hands.
fn slice<'s, T>(starts: &[i64], terms: &'s [T], weights: &'s [f32], row: usize) -> (&'s [T], &'s [f32]) {
    let bound = |index: usize| starts.get(index).and_then(|&start| usize::try_from(start).ok()).unwrap_or(0);
    let range = bound(row)..bound(row + 1);
    (terms.get(range.clone()).unwrap_or_default(), weights.get(range).unwrap_or_default())
}

fn check_layout(rows: CsrRows<'_>, what: &'static str) -> Result<(), IndexError> {
    let wrong = |problem: String| IndexError::Layout { what, problem };
    if rows.indices.len() != rows.values.len() {
        return Err(wrong(format!(
            "expected as many values as indices ({}), found {}",
            rows.indices.len(),
            rows.values.len()
        )));
    }
    let (Some(&first), Some(&last)) = (rows.indptr.first(), rows.indptr.last()) else {
        return Err(wrong("expected at least one entry in indptr, found none".to_owned()));
    };
    if first != 0 {
        return Err(wrong(format!("expected indptr to start at 0, found {first}")));
    }
    if usize::try_from(last).ok() != Some(rows.indices.len()) {
        return Err(wrong(format!("expected indptr to end at {}, found {last}", rows.indices.len())));
    }
    if let Some(row) = rows.indptr.windows(2).position(|pair| pair[1] < pair[0]) {
        let (start, end) = (rows.indptr[row], rows.indptr[row + 1]);
        return Err(wrong(format!("row {row}: expected indptr to ascend, found {end} after {start}")));
    }
    Ok(())
}

/// Whether [`check_row`] finds that a document's row can be used as it is. Looks at all entries without a branch, which is several at once:
/// the bits of finite weights above zero are those from 1 up to infinity's.
fn is_ready(terms: &[i32], weights: &[f32], role: Role, dimension: u32) -> bool {
    let next = terms.get(1..).unwrap_or_default();
    role == Role::Documents
        && terms.first().is_none_or(|&first| first >= 0)
        && terms.last().is_none_or(|&last| last.cast_unsigned() < dimension)
        && terms.iter().zip(next).filter(|(term, next)| term >= next).count() == 0
        && weights.iter().filter(|weight| weight.to_bits().wrapping_sub(1) >= f32::INFINITY.to_bits() - 1).count() == 0
}

/// Whether the row can be used as it is: terms ascend, no zeros.
fn check_row(terms: &[i32], weights: &[f32], role: Role, dimension: u32) -> Result<bool, RowProblem> {
    let mut ready = true;
    let mut before = None;
    for (&term, &weight) in terms.iter().zip(weights) {
        let id = u32::try_from(term)
            .ok()
            .filter(|id| *id < dimension)
            .ok_or(RowProblem::TermOutOfRange { term, dimension })?;
        if !weight.is_finite() {
            return Err(RowProblem::NonFinite { term: id, weight });
        }
        if weight < 0.0 && role == Role::Documents {
            return Err(RowProblem::Negative { term: id, weight });
        }
        ready &= before < Some(id) && weight != 0.0;
        before = Some(id);
    }
    if !ready {
        let mut sorted = terms.to_vec();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(RowProblem::DuplicateTerm { term: pair[0].unsigned_abs() });
        }
    }
    Ok(ready)
}
