//! A part of the index that never changes: rows, inverted lists and ids of some documents.

use std::sync::Mutex;

use kernels::RowScratch;

use crate::build_postings;
use crate::error::IndexError;
use crate::forward::{ForwardRows, ROWS_OF_A_BLOCK};
use crate::id_table::IdTable;
use crate::ids::DocumentIds;
use crate::options::Cancel;
use crate::pack_rows::{pack_row, unit_exponent};
use crate::postings::Postings;
use crate::rows::SparseRows;
use crate::threads::{self, lock, looked};

/// Below so many documents a segment has no inverted lists: comparing all of its rows is as fast, and adding is cheap.
pub(crate) const FEWEST_FOR_POSTINGS: usize = 512;
/// Rows packed by one task.
const PACK_ROWS: usize = 1 << 11;

/// Some packed rows: their bytes, and of each where it ends among them and the exponent of its unit.
type PackedRows = (Vec<u8>, Vec<(usize, Option<i16>)>);

/// Documents 0 to n - 1 of a segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) ids: IdTable,
    pub(crate) forward: ForwardRows,
    /// None in a small segment.
    pub(crate) postings: Option<Postings>,
    /// Entries of all rows.
    pub(crate) non_zeros: u64,
}

impl Segment {
    /// Number of documents, deleted ones included.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Makes a segment of checked rows with as many ids, each there once.
    pub(crate) fn build(
        rows: &SparseRows<'_>,
        ids: &DocumentIds,
        dimension: u32,
        threads: usize,
        cancel: &Cancel<'_>,
    ) -> Result<Self, IndexError> {
        let most = u32::MAX - 1;
        if u32::try_from(rows.len()).map_or(true, |count| count > most) {
            return Err(IndexError::TooLarge { what: "documents of an index", most: u64::from(most) });
        }
        let (mut ends, mut exponents) = (Vec::with_capacity(rows.len() + 1), Vec::with_capacity(rows.len()));
        ends.push(0);
        // About what rows take, terms of 16 bits or not.
        let mut all = Vec::with_capacity(5 * rows.non_zeros() + 40 * rows.len());
        let spare: Mutex<Vec<PackedRows>> = Mutex::default();
        let pack = |task| {
            let (mut bytes, mut parts) = lock(&spare).pop().unwrap_or_default();
            for row in task * PACK_ROWS..rows.len().min((task + 1) * PACK_ROWS) {
                looked(row, cancel)?;
                let (terms, weights) = rows.row(row);
                let exponent = if terms.is_empty() { None } else { unit_exponent(weights) };
                pack_row(terms, weights, exponent, dimension, &mut bytes);
                parts.push((bytes.len(), exponent));
            }
            Ok((bytes, parts))
        };
        let take = |(mut bytes, mut parts): PackedRows| {
            let before = all.len();
            all.extend_from_slice(&bytes);
            for (end, exponent) in parts.drain(..) {
                ends.push((before + end) as u64);
                exponents.push(exponent);
            }
            bytes.clear();
            lock(&spare).push((bytes, parts));
        };
        threads::in_order(threads, rows.len().div_ceil(PACK_ROWS), cancel, || (), |(), task| pack(task), take)?;
        all.shrink_to_fit();
        let blocks: Vec<u64> = ends.iter().copied().step_by(ROWS_OF_A_BLOCK).collect();
        let starts = ends.iter().enumerate().map(|(row, &end)| {
            let block = blocks.get(row / ROWS_OF_A_BLOCK).copied().unwrap_or_default();
            u32::try_from(end - block)
        });
        let most = u64::from(u32::MAX);
        let starts: Vec<u32> = starts
            .collect::<Result<_, _>>()
            .map_err(|_| IndexError::TooLarge { what: "bytes of 256 documents", most })?;
        if dimension > crate::forward::LARGEST_PACKED_DIMENSION {
            exponents.fill(None);
        }
        let postings = if rows.len() < FEWEST_FOR_POSTINGS {
            None
        } else {
            Some(build_postings::build(rows, &exponents, dimension, threads, cancel)?)
        };
        Ok(Self {
            ids: IdTable::new(ids),
            forward: ForwardRows { blocks: blocks.into(), starts: starts.into(), bytes: all.into(), dimension },
            postings,
            non_zeros: rows.non_zeros() as u64,
        })
    }

    /// The terms, ascending, and weights of a document.
    pub(crate) fn row(&self, document: u32) -> (Vec<u32>, Vec<f32>) {
        let (mut terms, mut weights) = (Vec::new(), Vec::new());
        self.forward.view().unpack(document as usize, &mut RowScratch::default(), &mut terms, &mut weights);
        (terms, weights)
    }

    /// Bytes of all arrays, as in a file.
    pub(crate) fn bytes(&self) -> u64 {
        let mut sum = 0;
        crate::file::each_section(self, &mut |_, bytes| sum += bytes.len() as u64);
        sum
    }

    pub(crate) fn is_mapped(&self) -> bool {
        self.forward.bytes.is_mapped()
    }
}
