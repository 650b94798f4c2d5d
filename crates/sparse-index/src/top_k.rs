//! The best documents found so far.

use std::cmp::Ordering;

use crate::snapshot::SegmentView;

/// A document and its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hit {
    pub(crate) score: f32,
    pub(crate) segment: u32,
    pub(crate) document: u32,
}

/// The k best hits: a heap with the worst at its root. Of equal scores the lower id is better.
#[derive(Debug)]
pub(crate) struct TopK<'s> {
    k: usize,
    heap: Vec<Hit>,
    segments: &'s [SegmentView],
}

impl<'s> TopK<'s> {
    pub(crate) fn new(k: usize, segments: &'s [SegmentView]) -> Self {
        Self { k, heap: Vec::new(), segments }
    }

    pub(crate) fn k(&self) -> usize {
        self.k
    }

    /// The score that a further hit must at least reach: that of the k-th best, or 0 while there are fewer.
    pub(crate) fn threshold(&self) -> Option<f32> {
        if self.heap.len() < self.k { None } else { self.heap.first().map(|hit| hit.score) }
    }

    /// From best to worst.
    fn order(&self, a: &Hit, b: &Hit) -> Ordering {
        b.score.total_cmp(&a.score).then_with(|| {
            let id = |hit: &Hit| self.segments.get(hit.segment as usize).map(|view| view.segment.ids.get(hit.document));
            id(a).cmp(&id(b))
        })
    }

    fn is_worse(&self, a: usize, b: usize) -> bool {
        match (self.heap.get(a), self.heap.get(b)) {
            (Some(a), Some(b)) => self.order(a, b) == Ordering::Greater,
            _ => false,
        }
    }

    /// Adds a hit, not there yet, if it is among the k best.
    pub(crate) fn push(&mut self, hit: Hit) {
        if self.heap.len() < self.k {
            self.heap.push(hit);
            let mut place = self.heap.len() - 1;
            while place > 0 && self.is_worse(place, (place - 1) / 2) {
                self.heap.swap(place, (place - 1) / 2);
                place = (place - 1) / 2;
            }
            return;
        }
        let Some(worst) = self.heap.first() else { return };
        if hit.score < worst.score || self.order(&hit, worst) != Ordering::Less {
            return;
        }
        self.heap[0] = hit;
        let mut place = 0;
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            let child = if self.is_worse(right, left) { right } else { left };
            if !self.is_worse(child, place) {
                return;
            }
            self.heap.swap(child, place);
            place = child;
        }
    }

    /// Forgets the hits of a segment, so that it can be searched again.
    pub(crate) fn forget_segment(&mut self, segment: u32) {
        let hits = std::mem::take(&mut self.heap);
        for hit in hits.into_iter().filter(|hit| hit.segment != segment) {
            self.push(hit);
        }
    }

    /// From best to worst.
    pub(crate) fn into_sorted(mut self) -> Vec<Hit> {
        let mut hits = std::mem::take(&mut self.heap);
        hits.sort_unstable_by(|a, b| self.order(a, b));
        hits
    }
}
