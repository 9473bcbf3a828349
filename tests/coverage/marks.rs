//! Reads the `covers:` lines of the tests in Rust, JavaScript and Python. A mark counts only above a test
//! that runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FOLDERS: [&str; 4] = ["tests/e2e", "tests/crash", "tests/clients/js/test", "tests/clients/python"];

/// A row and a test that exercises it.
pub struct Mark {
    pub row: String,
    /// Path below `tests/`, with slashes.
    pub file: String,
    line: usize,
    /// The name of the test as a sentence.
    pub test: String,
    /// The file's text without its marks.
    pub text: Arc<str>,
}

impl Mark {
    pub fn place(&self) -> String {
        format!("tests/{}:{}", self.file, self.line)
    }
}

/// All marks in file order, and errors about invalid marks.
pub fn all() -> (Vec<Mark>, Vec<String>) {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in FOLDERS {
        collect(&crate::root().join(folder), &mut files);
    }
    files.sort();
    assert!(files.len() > 20, "the tests were not found");
    let (mut marks, mut wrong) = (Vec::new(), Vec::new());
    for file in files {
        let name =
            file.strip_prefix(crate::root().join("tests")).unwrap().to_str().unwrap().replace('\\', "/");
        read(&name, &fs::read_to_string(&file).unwrap(), &mut marks, &mut wrong);
    }
    (marks, wrong)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "mjs" || kind == "py") {
            files.push(path);
        }
    }
}

fn read(file: &str, whole: &str, marks: &mut Vec<Mark>, wrong: &mut Vec<String>) {
    let lines: Vec<&str> = whole.lines().collect();
    let text: Arc<str> =
        lines.iter().filter(|line| covered(line).is_none()).copied().collect::<Vec<_>>().join("\n").into();
    for (index, line) in lines.iter().enumerate() {
        let Some(row) = covered(line) else { continue };
        let line = index + 1;
        match test_at(file, &lines, index) {
            Some(test) => {
                let (row, file, text) = (row.to_owned(), file.to_owned(), text.clone());
                marks.push(Mark { row, file, line, test, text });
            }
            None => wrong.push(format!("tests/{file}:{line}: no running test is below this mark")),
        }
    }
}

/// The row that a mark line names.
fn covered(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let comment = line.strip_prefix("//").or_else(|| line.strip_prefix('#'))?;
    comment.trim_start().strip_prefix("covers:").map(str::trim)
}

/// The test below a mark, as a sentence; only comments and attributes may be in between.
fn test_at(file: &str, lines: &[&str], mark: usize) -> Option<String> {
    let mut is_test = false;
    for (index, line) in lines.iter().enumerate().skip(mark + 1) {
        let line = line.trim();
        if line.starts_with("//") || (line.starts_with('#') && !line.starts_with("#[")) {
            continue;
        }
        if line.starts_with("#[") {
            if line.starts_with("#[ignore") {
                return None;
            }
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            continue;
        }
        return match file.rsplit_once('.')?.1 {
            "rs" => rust_test(line).filter(|_| is_test),
            "mjs" => javascript_test(lines, index),
            _ => python_test(line),
        };
    }
    None
}

fn rust_test(line: &str) -> Option<String> {
    let name = line.split_once("fn ")?.1.split('(').next()?;
    Some(name.strip_prefix("slow_").unwrap_or(name).replace('_', " "))
}

fn python_test(line: &str) -> Option<String> {
    let name = line.strip_prefix("def test_")?.split('(').next()?;
    Some(name.replace('_', " "))
}

/// The test's title, prefixed by the title of its enclosing block.
fn javascript_test(lines: &[&str], index: usize) -> Option<String> {
    let title = title(lines[index].trim_start().strip_prefix("test(")?)?;
    let depth = |line: &str| line.len() - line.trim_start().len();
    let block = lines[..index]
        .iter()
        .rev()
        .find(|line| line.trim_start().starts_with("describe(") && depth(line) < depth(lines[index]));
    let block = block.and_then(|line| self::title(line.trim_start().strip_prefix("describe(")?));
    Some(block.map_or_else(|| title.clone(), |block| format!("{block}: {title}")))
}

/// The string literal at the start of the arguments; interpolations become `…`.
fn title(arguments: &str) -> Option<String> {
    let quote = arguments.chars().next().filter(|quote| "'\"`".contains(*quote))?;
    let (mut title, mut rest) = (String::new(), arguments[1..].chars());
    while let Some(next) = rest.next() {
        match next {
            _ if next == quote => return Some(title),
            '\\' => title.extend(rest.next()),
            '$' if quote == '`' => {
                title.push('…');
                rest.by_ref().find(|end| *end == '}')?;
            }
            _ => title.push(next),
        }
    }
    None
}

/// Row and test of each mark, and the number of invalid marks.
fn found(file: &str, whole: &str) -> (Vec<(String, String)>, usize) {
    let (mut marks, mut wrong) = (Vec::new(), Vec::new());
    read(file, whole, &mut marks, &mut wrong);
    (marks.into_iter().map(|mark| (mark.row, mark.test)).collect(), wrong.len())
}

#[test]
fn marks_are_parsed_in_each_language() {
    let marked = |row: &str, test: &str| vec![(row.to_owned(), test.to_owned())];
    let rust = "// covers: GET /a\n// Why.\n#[tokio::test]\nasync fn slow_it_works() {}\n";
    assert_eq!(found("a.rs", rust), (marked("GET /a", "it works"), 0));
    let script =
        "describe('doors', () => {\n  // covers: emit a\n  test(`it ${b} isn\\'t`, async () => {});\n});\n";
    assert_eq!(found("a.mjs", script), (marked("emit a", "doors: it … isn't"), 0));
    let python = "class A:\n    # covers: event a\n    def test_it_works(self):\n        pass\n";
    assert_eq!(found("a.py", python), (marked("event a", "it works"), 0));
}

#[test]
fn mark_without_running_test_is_error() {
    for (file, below) in [
        ("a.rs", "fn helper() {}"),
        ("a.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}"),
        ("a.rs", "\n#[test]\nfn a() {}"),
        ("a.mjs", "test.skip('a', () => {});"),
        ("a.mjs", "const a = 1;"),
        ("a.py", "def helper():"),
        ("a.py", "@unittest.skip('later')\ndef test_a(self):"),
        ("a.rs", ""),
    ] {
        assert_eq!(found(file, &format!("// covers: GET /a\n{below}")), (Vec::new(), 1), "{below}");
    }
}

#[test]
fn mark_lines_do_not_count_as_test_text() {
    let (mut marks, mut wrong) = (Vec::new(), Vec::new());
    read("a.rs", "// covers: GET /wonder\n#[test]\nfn a() {}\n", &mut marks, &mut wrong);
    assert!(!marks[0].text.contains("wonder"));
}
