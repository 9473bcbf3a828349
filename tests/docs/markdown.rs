//! Splits a Markdown document into lines of prose, tables and code blocks.

/// A document with its path inside the project.
pub struct Document {
    pub name: String,
    pub lines: Vec<Line>,
    blocks: Vec<Block>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LineKind {
    Paragraph,
    List,
    Table,
    Heading,
    Code,
    Blank,
}

/// One line of a document.
pub struct Line {
    number: usize,
    kind: LineKind,
    pub text: String,
}

/// A fenced code block.
pub struct Block {
    language: String,
    /// Number of its first line in the document.
    pub first_line: usize,
    pub text: String,
}

impl Document {
    pub fn read(name: String, text: &str) -> Self {
        let mut lines: Vec<Line> = Vec::new();
        let mut blocks: Vec<Block> = Vec::new();
        let mut in_block = false;
        let mut in_list = false;
        for (number, text) in text.lines().enumerate() {
            let (number, trimmed) = (number + 1, text.trim_start());
            let fence = trimmed.strip_prefix("```");
            let kind = match fence {
                Some(language) if !in_block => {
                    let language = language.trim().to_owned();
                    blocks.push(Block { language, first_line: number + 1, text: String::new() });
                    in_block = true;
                    LineKind::Code
                }
                Some(_) => {
                    in_block = false;
                    LineKind::Code
                }
                None if in_block => {
                    let block = blocks.last_mut().unwrap();
                    block.text.push_str(text);
                    block.text.push('\n');
                    LineKind::Code
                }
                None => kind_of(text, &mut in_list),
            };
            lines.push(Line { number, kind, text: text.to_owned() });
        }
        Self { name, lines, blocks }
    }

    pub fn at(&self, line: &Line) -> String {
        format!("{}, line {}", self.name, line.number)
    }

    /// The code blocks in one of these languages.
    pub fn blocks<'a>(&'a self, languages: &'a [&str]) -> impl Iterator<Item = &'a Block> {
        self.blocks.iter().filter(|block| languages.contains(&&*block.language))
    }

    /// The errors that `find` reports for inline code.
    pub fn findings(&self, find: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let mut wrong = Vec::new();
        for line in self.lines.iter().filter(|line| line.kind != LineKind::Code) {
            wrong.extend(line.codes().filter_map(&find).map(|error| format!("{}: {error}", self.at(line))));
        }
        wrong
    }

    /// The anchors of the headings, as GitHub builds them.
    pub fn anchors(&self) -> impl Iterator<Item = String> {
        self.lines.iter().filter(|line| line.kind == LineKind::Heading).map(|line| {
            let text = line.text.trim_start_matches('#').trim().to_lowercase();
            let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
    }
}

fn kind_of(text: &str, in_list: &mut bool) -> LineKind {
    let trimmed = text.trim_start();
    let is_item = |text: &str| {
        let number = text.trim_start_matches(|c: char| c.is_ascii_digit());
        text.starts_with("- ") || (number.len() < text.len() && number.starts_with(". "))
    };
    let kind = match trimmed {
        "" => LineKind::Blank,
        text if text.starts_with('#') => LineKind::Heading,
        text if text.starts_with('|') => LineKind::Table,
        text if is_item(text) => LineKind::List,
        _ if *in_list && trimmed.len() < text.len() => LineKind::List,
        _ => LineKind::Paragraph,
    };
    *in_list = kind == LineKind::List || (*in_list && kind == LineKind::Blank);
    kind
}

impl Line {
    pub fn is_prose(&self) -> bool {
        matches!(self.kind, LineKind::Paragraph | LineKind::List | LineKind::Heading)
    }

    pub fn is_paragraph(&self) -> bool {
        self.kind == LineKind::Paragraph
    }

    /// The targets of its links.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        let text = if self.kind == LineKind::Code { "" } else { &*self.text };
        text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
    }

    /// Its inline code.
    fn codes(&self) -> impl Iterator<Item = &str> {
        self.text.split('`').skip(1).step_by(2)
    }
}

impl Block {
    /// Its shell commands, continued lines joined. A quoted text may span lines.
    pub fn commands(&self) -> Vec<String> {
        let mut commands = Vec::new();
        let mut command = String::new();
        for line in self.text.lines() {
            match line.strip_suffix('\\') {
                Some(line) => command.push_str(line),
                None => command.push_str(line),
            }
            let open = command.chars().filter(|c| *c == '\'').count() % 2 == 1;
            if open || line.ends_with('\\') {
                command.push(' ');
            } else {
                commands.push(std::mem::take(&mut command));
            }
        }
        commands
    }
}
