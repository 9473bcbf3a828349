//! The table of measurements, and whether their bounds hold.

struct Row {
    what: String,
    value: String,
    bound: Option<(String, bool)>,
}

/// All rows so far.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Adds a figure without a bound.
    pub fn row(&mut self, what: &str, value: impl Into<String>) {
        self.add(what, value.into(), None);
    }

    /// Adds a figure with a bound.
    pub fn bounded(&mut self, what: &str, value: impl Into<String>, bound: &str, holds: bool) {
        self.add(what, value.into(), Some((bound.to_owned(), holds)));
    }

    fn add(&mut self, what: &str, value: String, bound: Option<(String, bool)>) {
        println!("  {what}: {value}");
        self.rows.push(Row { what: what.to_owned(), value, bound });
    }

    /// Whether every bound holds.
    pub fn holds(&self) -> bool {
        self.rows.iter().all(|row| row.bound.as_ref().is_none_or(|(_, holds)| *holds))
    }

    /// Prints all rows as a Markdown table.
    pub fn print(&self) {
        println!("\n| measure | value | bound | |\n| --- | ---: | --- | --- |");
        for row in &self.rows {
            let (bound, verdict) = match &row.bound {
                None => ("", ""),
                Some((bound, true)) => (bound.as_str(), "holds"),
                Some((bound, false)) => (bound.as_str(), "**broken**"),
            };
            println!("| {} | {} | {bound} | {verdict} |", row.what, row.value);
        }
    }
}
