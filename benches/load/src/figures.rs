//! The figures of a bench: medians by measure and column, with ratios, as one table.

use bench_load::document::Table;
use bench_load::statistics::Samples;

/// How a figure is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Micros,
    Millis,
    PerSecond,
    Kib,
    Bytes,
    Percent,
}

impl Unit {
    fn write(self, value: f64) -> String {
        match self {
            Self::Micros if value >= 100.0 => format!("{value:.0} µs"),
            Self::Micros => format!("{value:.2} µs"),
            Self::Millis => format!("{value:.1} ms"),
            Self::PerSecond => format!("{value:.0}/s"),
            Self::Kib => format!("{value:.1} KiB"),
            Self::Bytes => format!("{value:.0} B"),
            Self::Percent => format!("{value:.0} %"),
        }
    }

    /// Whether a ratio of two figures says something.
    fn has_ratio(self) -> bool {
        !matches!(self, Self::Percent | Self::Bytes)
    }
}

struct Row {
    measure: String,
    unit: Unit,
    values: Vec<(String, Samples)>,
}

/// All figures of a bench.
#[derive(Default)]
pub struct Figures {
    rows: Vec<Row>,
    ratios: Vec<(String, String)>,
    notes: Vec<String>,
}

impl Figures {
    /// Adds the figure of one repetition.
    pub fn add(&mut self, measure: &str, unit: Unit, column: &str, value: f64) {
        eprintln!("  {column}: {measure} {}", unit.write(value));
        let at = self.rows.iter().position(|row| row.measure == measure).unwrap_or_else(|| {
            self.rows.push(Row { measure: measure.to_owned(), unit, values: Vec::new() });
            self.rows.len() - 1
        });
        let values = &mut self.rows[at].values;
        let column_at = values.iter().position(|(name, _)| name == column).unwrap_or_else(|| {
            values.push((column.to_owned(), Samples::default()));
            values.len() - 1
        });
        values[column_at].1.add(value);
    }

    /// Adds a column with the ratio of two others. Without any, that of Wharf to each other column is shown.
    pub fn ratio(&mut self, dividend: &str, divisor: &str) {
        let pair = (dividend.to_owned(), divisor.to_owned());
        if !self.ratios.contains(&pair) {
            self.ratios.push(pair);
        }
    }

    /// Adds a sentence below the table, once.
    pub fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    fn columns(&self) -> Vec<String> {
        let mut columns: Vec<String> = Vec::new();
        for (name, _) in self.rows.iter().flat_map(|row| &row.values) {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        columns
    }

    /// The table and its notes.
    pub fn markdown(&self) -> String {
        let columns = self.columns();
        let to_wharf =
            columns.iter().filter(|name| *name != "Wharf").map(|name| ("Wharf".to_owned(), name.clone()));
        let ratios = if self.ratios.is_empty() { to_wharf.collect() } else { self.ratios.clone() };
        let mut head = vec!["measure".to_owned()];
        head.extend(columns.iter().cloned());
        head.extend(ratios.iter().map(|(a, b)| format!("{a} / {b}")));
        let mut table = Table::new(head);
        // What concerns all measures comes last.
        let (last, first): (Vec<&Row>, Vec<&Row>) =
            self.rows.iter().partition(|row| row.unit == Unit::Percent);
        for row in first.into_iter().chain(last) {
            let mut cells = vec![row.measure.clone()];
            cells.extend(columns.iter().map(|name| row.cell(name)));
            cells.extend(ratios.iter().map(|(a, b)| row.ratio(a, b)));
            table.row(cells);
        }
        let mut text = table.markdown();
        if !self.notes.is_empty() {
            text.push_str(&format!("\n\n{}", self.notes.join("\n")));
        }
        text
    }
}

impl Row {
    fn samples(&self, column: &str) -> Option<&Samples> {
        self.values.iter().find(|(name, _)| name == column).map(|(_, samples)| samples)
    }

    fn cell(&self, column: &str) -> String {
        let Some(samples) = self.samples(column) else { return String::new() };
        let Some(median) = samples.median() else { return String::new() };
        match samples.spread() {
            spread if spread < 0.005 || self.unit == Unit::Percent => self.unit.write(median),
            spread => format!("{} (spread {:.0} %)", self.unit.write(median), spread * 100.0),
        }
    }

    fn ratio(&self, dividend: &str, divisor: &str) -> String {
        let median = |column| self.samples(column).and_then(Samples::median);
        match (median(dividend), median(divisor)) {
            (Some(a), Some(b)) if b > 0.0 && self.unit.has_ratio() => format!("{:.2}", a / b),
            _ => String::new(),
        }
    }
}
