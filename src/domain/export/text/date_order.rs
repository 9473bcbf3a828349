//! Detects the order of day, month and year from all dates of a file, because a single date may be ambiguous.

use super::header::{Header, header};

/// The order of the numbers in a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    /// 31/01/2026, as in most countries.
    DayMonthYear,
    /// 1/31/26, as in the United States.
    MonthDayYear,
    /// 2026-01-31.
    YearMonthDay,
}

impl DateOrder {
    /// Returns year, month and day.
    pub(super) fn sort(self, date: [i16; 3]) -> (i16, i16, i16) {
        let [a, b, c] = date;
        match self {
            Self::DayMonthYear => (c, b, a),
            Self::MonthDayYear => (c, a, b),
            Self::YearMonthDay => (a, b, c),
        }
    }
}

/// Evidence for the date order, collected line by line.
#[derive(Debug, Default)]
pub struct OrderVote {
    year_first: bool,
    day_first: bool,
    month_first: bool,
    twelve: bool,
    short_slashes: bool,
    day_month: Backwards,
    month_day: Backwards,
}

/// Counts steps backwards in time under one date order; messages are in order of time.
#[derive(Debug, Default)]
struct Backwards {
    last: Option<[i16; 5]>,
    times: u64,
}

impl Backwards {
    fn see(&mut self, order: DateOrder, header: &Header<'_>) {
        let (year, month, day) = order.sort(header.date);
        let now = [year, month, day, header.hour.into(), header.minute.into()];
        self.times += u64::from(self.last.is_some_and(|last| now < last));
        self.last = Some(now);
    }
}

impl OrderVote {
    /// Adds the evidence of a line.
    pub fn see(&mut self, line: &str) {
        let Some(header) = header(line) else { return };
        if header.year_first {
            self.year_first = true;
            return;
        }
        self.day_first |= header.date[0] > 12;
        self.month_first |= header.date[1] > 12;
        self.twelve |= header.twelve;
        self.short_slashes |= header.date[2] < 100;
        self.day_month.see(DateOrder::DayMonthYear, &header);
        self.month_day.see(DateOrder::MonthDayYear, &header);
    }

    /// Decides by unambiguous dates; else by the order with fewer steps backwards in time; else by style. A
    /// 12-hour clock with a two-digit year means the order of the United States.
    #[must_use]
    pub fn decide(&self) -> DateOrder {
        if self.year_first {
            return DateOrder::YearMonthDay;
        }
        let month_first = match (self.day_first, self.month_first) {
            (true, false) => false,
            (false, true) => true,
            _ if self.day_month.times != self.month_day.times => self.month_day.times < self.day_month.times,
            _ => self.twelve && self.short_slashes,
        };
        if month_first { DateOrder::MonthDayYear } else { DateOrder::DayMonthYear }
    }
}

#[cfg(test)]
mod tests {
    use super::super::date_order::*;

    fn decided(lines: &[&str]) -> DateOrder {
        let mut vote = OrderVote::default();
        lines.iter().for_each(|line| vote.see(line));
        vote.decide()
    }

    #[test]
    fn day_above_twelve_decides_date_order() {
        assert_eq!(
            decided(&["01/02/2026, 10:00 - A: x", "13/02/2026, 10:00 - A: x"]),
            DateOrder::DayMonthYear
        );
        assert_eq!(decided(&["1/2/26, 10:00 - A: x", "2/13/26, 10:00 - A: x"]), DateOrder::MonthDayYear);
        assert_eq!(decided(&["2026-01-02, 10:00 - A: x"]), DateOrder::YearMonthDay);
    }

    #[test]
    fn ascending_dates_decide_date_order() {
        let lines = ["01/05/2026, 10:00 - A: x", "02/03/2026, 10:00 - A: x"];
        assert_eq!(decided(&lines), DateOrder::MonthDayYear);
        let lines = ["05/01/2026, 10:00 - A: x", "03/02/2026, 10:00 - A: x"];
        assert_eq!(decided(&lines), DateOrder::DayMonthYear);
    }

    #[test]
    fn clock_format_decides_ambiguous_date_order() {
        assert_eq!(decided(&["1/2/26, 3:04 PM - A: x"]), DateOrder::MonthDayYear);
        assert_eq!(decided(&["01/02/2026, 15:04 - A: x"]), DateOrder::DayMonthYear);
        assert_eq!(decided(&[]), DateOrder::DayMonthYear);
    }
}
