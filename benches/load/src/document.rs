//! `docs/benchmarks.md`: a section for each bench, between two comments that name it.

/// Replaces the section of a bench, or appends it.
#[must_use]
pub fn with_section(document: &str, bench: &str, section: &str) -> String {
    let (begin, end) = (format!("<!-- bench {bench} -->"), format!("<!-- end of {bench} -->"));
    let text = format!("{begin}\n{}\n{end}", section.trim());
    let found = document.find(&begin).and_then(|from| {
        let length = document[from..].find(&end)? + end.len();
        Some((from, from + length))
    });
    match found {
        Some((from, to)) => format!("{}{text}{}", &document[..from], &document[to..]),
        None => format!("{}\n\n{text}\n", document.trim_end()),
    }
}

/// A Markdown table.
#[derive(Debug, Clone)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty one; all columns but the first are figures.
    #[must_use]
    pub fn new(head: Vec<String>) -> Self {
        Self { head, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The text.
    #[must_use]
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
        let rule: Vec<String> =
            (0..self.head.len()).map(|at| if at == 0 { "---" } else { "---:" }.to_owned()).collect();
        let mut lines = vec![line(&self.head), line(&rule)];
        lines.extend(self.rows.iter().map(|row| line(row)));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_section_is_appended() {
        let document = with_section("# Title\n", "echo", "figures\n");
        assert_eq!(document, "# Title\n\n<!-- bench echo -->\nfigures\n<!-- end of echo -->\n");
    }

    #[test]
    fn section_is_replaced_and_its_neighbours_stay() {
        let before = with_section(&with_section("# Title\n", "echo", "old"), "read", "kept");
        let after = with_section(&before, "echo", "new");
        assert_eq!(after, with_section(&with_section("# Title\n", "echo", "new"), "read", "kept"));
    }

    #[test]
    fn table_aligns_figures_to_the_right() {
        let mut table = Table::new(vec!["work".into(), "Node".into()]);
        table.row(vec!["echo".into(), "5 µs".into()]);
        assert_eq!(table.markdown(), "| work | Node |\n| --- | ---: |\n| echo | 5 µs |");
    }
}
