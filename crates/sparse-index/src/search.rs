//! Searching the snapshot for a batch of queries.

use kernels::Level;

use crate::bits::Bits;
use crate::compare_all::{compare, compare_signed};
use crate::error::IndexError;
use crate::id_table::id_at;
use crate::ids::DocumentIds;
use crate::index::SparseIndex;
use crate::options::{Cancel, Filter, Hits, Mode, SearchOptions};
use crate::rows::{CsrRows, Role, SparseRows};
use crate::search_segment::{self, Scratch, Target};
use crate::snapshot::{SegmentView, Snapshot, collect_ids};
use crate::threads;
use crate::top_k::TopK;
use crate::tuning::Tuning;

/// Queries of a batch that one thread takes at a time.
const QUERIES_OF_A_TASK: usize = 8;
/// Where at most one document in so many may be found, these are compared one by one.
const SELECTIVE: usize = 200;

impl SparseIndex {
    /// The best documents for each query: those that share a term with it, best first, equal scores by ascending id.
    ///
    /// # Errors
    /// What is wrong with the queries or options, or [`IndexError::Cancelled`].
    pub fn search(
        &self,
        queries: CsrRows<'_>,
        options: &SearchOptions<'_>,
        cancel: &Cancel<'_>,
    ) -> Result<Vec<Hits>, IndexError> {
        self.search_at(Level::selected()?, queries, options, cancel)
    }

    /// [`SparseIndex::search`] with the instructions of one level.
    pub(crate) fn search_at(
        &self,
        level: Level,
        queries: CsrRows<'_>,
        options: &SearchOptions<'_>,
        cancel: &Cancel<'_>,
    ) -> Result<Vec<Hits>, IndexError> {
        if options.k == 0 {
            return Err(IndexError::argument("k", "an integer of at least 1", options.k));
        }
        if let Mode::Approximate { recall } = options.mode
            && !(recall > 0.0 && recall <= 1.0)
        {
            return Err(IndexError::argument("recall", "a number above 0 and at most 1", recall));
        }
        let threads = threads::count(options.threads)?;
        let snapshot = self.snapshot();
        let queries = SparseRows::check(queries, Role::Queries("queries"), Some(snapshot.dimension))?;
        let allowed = allowed(&snapshot, options.filter)?;
        let search = Search { snapshot: &snapshot, allowed, level, k: options.k, tuning: Tuning::new(options.mode) };
        let tasks = queries.len().div_ceil(QUERIES_OF_A_TASK);
        let answers = threads::map_with(
            threads,
            tasks,
            cancel,
            || self.scratches.take(),
            |borrowed, task| {
                let scratch = borrowed.get();
                let first = task * QUERIES_OF_A_TASK;
                let last = queries.len().min(first + QUERIES_OF_A_TASK);
                (first..last)
                    .map(|query| search.one(queries.row(query), scratch, cancel))
                    .collect::<Result<Vec<_>, _>>()
            },
        )?;
        Ok(answers.into_iter().flatten().collect())
    }
}

/// The documents of a segment that may be found.
#[derive(Debug)]
pub(crate) enum Allowed<'a> {
    All,
    AllBut(&'a Bits),
    Only(Bits),
}

impl Allowed<'_> {
    #[inline]
    pub(crate) fn contains(&self, document: u32) -> bool {
        match self {
            Self::All => true,
            Self::AllBut(deleted) => !deleted.contains(document),
            Self::Only(bits) => bits.contains(document),
        }
    }

    /// How many of `all`.
    fn count(&self, all: usize) -> usize {
        match self {
            Self::All => all,
            Self::AllBut(deleted) => all.saturating_sub(deleted.count()),
            Self::Only(bits) => bits.count(),
        }
    }
}

/// What the queries of a batch share.
struct Search<'a> {
    snapshot: &'a Snapshot,
    /// For each segment.
    allowed: Vec<Allowed<'a>>,
    level: Level,
    k: usize,
    tuning: Tuning,
}

impl Search<'_> {
    fn one(
        &self,
        (terms, weights): (&[u32], &[f32]),
        scratch: &mut Scratch,
        cancel: &Cancel<'_>,
    ) -> Result<Hits, IndexError> {
        let segments = &self.snapshot.segments;
        let mut top = TopK::new(self.k, segments);
        let signed = weights.iter().any(|&weight| weight < 0.0);
        scratch.query.set(terms, weights);
        // Large segments first: they raise the threshold for the small ones.
        let mut order: Vec<usize> = (0..segments.len()).collect();
        order.sort_by_key(|&number| std::cmp::Reverse(segments.get(number).map_or(0, |view| view.segment.len())));
        for number in order {
            let (Some(view), Some(allowed)) = (segments.get(number), self.allowed.get(number)) else { continue };
            let segment = view.segment.as_ref();
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let count = allowed.count(segment.len());
            let is_allowed = |document: &u32| allowed.contains(*document);
            let all = 0..u32::try_from(segment.len()).unwrap_or(u32::MAX);
            if count == 0 || terms.is_empty() {
                continue;
            }
            match &segment.postings {
                _ if signed => {
                    let documents = all.filter(is_allowed);
                    compare_signed(segment, number, (terms, weights), documents, &mut top, cancel)?;
                }
                Some(postings) if count > segment.len() / SELECTIVE => {
                    let (postings, forward) = (postings.view(), segment.forward.view());
                    let target = Target { segment, postings, forward, number, allowed, level: self.level };
                    search_segment::search(&target, terms, weights, &self.tuning, scratch, &mut top, cancel)?;
                }
                _ => {
                    let query = &mut scratch.query;
                    if let Allowed::Only(bits) = allowed {
                        compare(segment, number, self.level, query, bits.iter(), &mut top, cancel)?;
                    } else {
                        compare(segment, number, self.level, query, all.filter(is_allowed), &mut top, cancel)?;
                    }
                }
            }
        }
        let hits = top.into_sorted();
        let scores = hits.iter().map(|hit| hit.score).collect();
        let ids = hits
            .iter()
            .filter_map(|hit| segments.get(hit.segment as usize).map(|view| view.segment.ids.get(hit.document)));
        Ok(Hits { ids: collect_ids(ids, self.snapshot.strings == Some(true)), scores })
    }
}

/// For each segment the documents that may be found: not deleted, and in the filter.
fn allowed<'a>(snapshot: &'a Snapshot, filter: Option<Filter<'_>>) -> Result<Vec<Allowed<'a>>, IndexError> {
    let none = || snapshot.segments.iter().map(|view| Bits::none(view.segment.len()));
    let bits = match filter {
        None => {
            let live = |view: &'a SegmentView| view.deleted.as_deref().map_or(Allowed::All, Allowed::AllBut);
            return Ok(snapshot.segments.iter().map(live).collect());
        }
        Some(Filter::Ids(ids)) => {
            let mut bits: Vec<Bits> = none().collect();
            if !ids.is_empty() {
                snapshot.check_kind(matches!(ids, DocumentIds::Strings(_)))?;
            }
            for (segment, document) in
                (0..ids.len()).filter_map(|index| id_at(ids, index)).filter_map(|id| snapshot.find(&id))
            {
                if let Some(bits) = bits.get_mut(segment) {
                    bits.insert(document);
                }
            }
            bits
        }
        Some(Filter::Mask(mask)) => {
            let live = snapshot.len();
            if mask.len() != live {
                return Err(IndexError::argument(
                    "filter",
                    format!("{live} entries, one for each document"),
                    mask.len(),
                ));
            }
            let mut mask = mask.iter();
            let mut bits: Vec<Bits> = none().collect();
            for (view, bits) in snapshot.segments.iter().zip(&mut bits) {
                for document in view.live_documents() {
                    if mask.next() == Some(&true) {
                        bits.insert(document);
                    }
                }
            }
            bits
        }
    };
    Ok(bits.into_iter().map(Allowed::Only).collect())
}
