//! The receipts of one member of a conversation as ranges of message ids, each with its time.
//!
//! Invariant: ranges are sorted and disjoint; a message that has a receipt keeps the time of its first one.

use super::ids::ChatMessageId;
use crate::domain::clock::Millis;

/// Adjacent ranges are joined if their times differ by at most this: a client marks a page one by one.
const JOIN_WITHIN_MS: i64 = 1_000;

/// The kind of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptLevel {
    /// The message reached a client of the recipient.
    Delivered,
    /// The recipient read the message.
    Read,
}

impl ReceiptLevel {
    /// The word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Read => "read",
        }
    }
}

/// Messages with receipts of one time, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptRange {
    /// The first message id.
    pub first: i64,
    /// The last message id.
    pub last: i64,
    /// The time of the receipts.
    pub at: Millis,
}

/// The ranges of one member, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiptRanges(Vec<ReceiptRange>);

impl ReceiptRanges {
    /// Ranges as stored: sorted and disjoint.
    #[must_use]
    pub fn new(ranges: Vec<ReceiptRange>) -> Self {
        Self(ranges)
    }

    /// The ranges.
    #[must_use]
    pub fn ranges(&self) -> &[ReceiptRange] {
        &self.0
    }

    /// The time of a message's receipt.
    #[must_use]
    pub fn at(&self, message: ChatMessageId) -> Option<Millis> {
        let index = self.0.partition_point(|range| range.last < message.0);
        self.0.get(index).filter(|range| range.first <= message.0).map(|range| range.at)
    }

    /// The last message of the adjacent ranges that begin at or before a message; `None` if it has no receipt.
    #[must_use]
    pub fn end_of(&self, message: i64) -> Option<i64> {
        let mut ranges = self.0.iter().skip_while(|range| range.last < message);
        let mut end = ranges.next().filter(|range| range.first <= message)?.last;
        for range in ranges {
            if range.first != end + 1 {
                break;
            }
            end = range.last;
        }
        Some(end)
    }

    /// The parts of `first..=last` without receipts, in order.
    #[must_use]
    pub fn missing(&self, first: i64, last: i64) -> Vec<(i64, i64)> {
        let mut missing = Vec::new();
        let mut next = first;
        for range in self.0.iter().filter(|range| range.last >= first && range.first <= last) {
            if range.first > next {
                missing.push((next, range.first - 1));
            }
            next = next.max(range.last + 1);
        }
        if next <= last {
            missing.push((next, last));
        }
        missing
    }

    /// Adds receipts for `first..=last` where there are none, and returns the parts that were added.
    pub fn add(&mut self, first: i64, last: i64, at: Millis) -> Vec<(i64, i64)> {
        let missing = self.missing(first, last);
        if missing.is_empty() {
            return missing;
        }
        self.0.extend(missing.iter().map(|(first, last)| ReceiptRange { first: *first, last: *last, at }));
        self.0.sort_by_key(|range| range.first);
        let mut joined: Vec<ReceiptRange> = Vec::with_capacity(self.0.len());
        for range in self.0.drain(..) {
            match joined.last_mut() {
                Some(before) if are_joined(*before, range) => before.last = range.last,
                _ => joined.push(range),
            }
        }
        self.0 = joined;
        missing
    }
}

fn are_joined(before: ReceiptRange, next: ReceiptRange) -> bool {
    before.last + 1 == next.first && (0..=JOIN_WITHIN_MS).contains(&next.at.since(before.at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn first_receipt_of_a_message_is_kept() {
        let mut ranges = ReceiptRanges::default();
        assert_eq!(ranges.add(5, 6, Millis(10)), [(5, 6)]);
        assert_eq!(ranges.add(1, 9, Millis(5_000)), [(1, 4), (7, 9)]);
        assert_eq!(ranges.add(1, 9, Millis(9_000)), []);
        let at = |id| ranges.at(ChatMessageId(id)).map(|at| at.0);
        assert_eq!(
            [at(1), at(5), at(6), at(9), at(10)],
            [Some(5_000), Some(10), Some(10), Some(5_000), None]
        );
    }

    #[test]
    fn end_is_that_of_adjacent_ranges() {
        let mut ranges = ReceiptRanges::default();
        for (first, last, at) in [(1, 3, 0), (4, 6, 5_000), (8, 9, 9_000)] {
            ranges.add(first, last, Millis(at));
        }
        assert_eq!([1, 3, 5].map(|id| ranges.end_of(id)), [Some(6); 3]);
        assert_eq!([7, 8, 10].map(|id| ranges.end_of(id)), [None, Some(9), None]);
    }

    #[test]
    fn marks_of_one_page_are_one_range() {
        let mut ranges = ReceiptRanges::default();
        for id in 1..=50 {
            ranges.add(id, id, Millis(id));
        }
        assert_eq!(ranges.ranges(), [ReceiptRange { first: 1, last: 50, at: Millis(1) }]);
    }

    proptest! {
        /// Receipts never go back, ranges stay disjoint, and exactly the missing ids are added.
        #[test]
        fn receipts_only_grow(marks in proptest::collection::vec((1_i64..60, 0_i64..12), 1..40)) {
            let mut ranges = ReceiptRanges::default();
            let mut known = std::collections::BTreeMap::new();
            for (step, (first, length)) in marks.into_iter().enumerate() {
                let (last, at) = (first + length, Millis(10_000 * i64::try_from(step).unwrap()));
                let added: Vec<i64> =
                    ranges.add(first, last, at).into_iter().flat_map(|(a, b)| a..=b).collect();
                let fresh: Vec<i64> = (first..=last).filter(|id| !known.contains_key(id)).collect();
                prop_assert_eq!(&added, &fresh);
                known.extend(fresh.into_iter().map(|id| (id, at)));
                for id in 0..80 {
                    prop_assert_eq!(ranges.at(ChatMessageId(id)), known.get(&id).copied());
                }
                prop_assert!(ranges.ranges().windows(2).all(|pair| pair[0].last < pair[1].first));
            }
        }
    }
}
