//! Renders `docs/coverage.md`.

use crate::marks::Mark;
use crate::rows::{Row, Rows};

const HEAD: &str = "# Coverage

The rows of the device contracts and the tests that exercise them over real HTTP and Socket.IO, in
`tests/`. This file is generated from the `covers:` lines of the tests and from `tests/coverage/rows.toml`, and checked
with every run of the tests; `WHARF_WRITE_DOCS=1 cargo nextest run --test coverage` writes it.
";

pub fn markdown(rows: &Rows, marks: &[Mark]) -> String {
    let mut text = HEAD.to_owned();
    let covered = rows.all().filter(|row| marks.iter().any(|mark| mark.row == row.name)).count();
    let counts = (covered, rows.all().count(), rows.missing.len(), rows.later.len());
    let (covered, all, missing, later) = counts;
    text.push_str(&format!(
        "\n{covered} of {all} rows have a test; {missing} are missing one; {later} come later.\n"
    ));
    for (title, rows_of_section) in rows.sections() {
        text.push_str(&format!("\n## {title}\n\n| row | tests |\n| --- | --- |\n"));
        for row in rows_of_section {
            text.push_str(&format!("| `{}` | {} |\n", row.name, tests(row, rows, marks)));
        }
    }
    text
}

fn tests(row: &Row, rows: &Rows, marks: &[Mark]) -> String {
    if let Some(reason) = rows.later.get(&row.name) {
        return format!("later: {reason}");
    }
    let tests: Vec<String> = marks
        .iter()
        .filter(|mark| mark.row == row.name)
        .map(|mark| format!("`{}`: {}", mark.file, mark.test.replace('|', "\\|")))
        .collect();
    if tests.is_empty() { "**missing**".to_owned() } else { tests.join("<br>") }
}
