//! Splits Rust source into comments, strings, identifiers and other code, with line numbers.
//!
//! It reads files that compile; it does not validate them.

/// A piece of a source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A `//` or `/* */` comment, without its markers.
    Comment { doc: bool, text: String },
    /// A string literal, without quotes; escapes are kept as written.
    Text(String),
    /// An identifier or keyword.
    Word(String),
    /// Any other character of code.
    Symbol(char),
}

/// A token and the line where it begins, counted from 1.
#[derive(Debug, Clone)]
pub struct Located {
    pub line: usize,
    pub token: Token,
}

/// The tokens of a Rust file.
pub fn tokens(source: &str) -> Vec<Located> {
    let mut scanner = Scanner { rest: source, line: 1, found: Vec::new() };
    while let Some(next) = scanner.rest.chars().next() {
        scanner.scan(next);
    }
    scanner.found
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    found: Vec<Located>,
}

impl<'a> Scanner<'a> {
    fn scan(&mut self, next: char) {
        let rest = self.rest;
        if rest.starts_with("//") {
            let end = rest.find('\n').unwrap_or(rest.len());
            self.comment(end, 2, end);
        } else if rest.starts_with("/*") {
            let end = block_comment_end(rest);
            self.comment(end, 2, end.saturating_sub(2).max(2));
        } else if let Some((open, close)) = raw_string(rest) {
            let end = rest[open..].find(&close).map_or(rest.len(), |at| open + at);
            self.push(Token::Text(rest[open..end].to_owned()), (end + close.len()).min(rest.len()));
        } else if let Some(open) = string_start(rest) {
            let end = string_end(rest, open);
            self.push(Token::Text(rest[open..end].to_owned()), (end + 1).min(rest.len()));
        } else if next == '\'' {
            let end = char_end(rest);
            self.push(Token::Symbol('\''), end);
        } else if next.is_alphabetic() || next == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            self.push(Token::Word(rest[..end].to_owned()), end);
        } else if next.is_whitespace() {
            self.skip(next.len_utf8());
        } else {
            self.push(Token::Symbol(next), next.len_utf8());
        }
    }

    fn comment(&mut self, end: usize, from: usize, to: usize) {
        let body = &self.rest[from..to];
        let doc = (body.starts_with('/') && !body.starts_with("//")) || body.starts_with('!');
        let doc = doc || (self.rest.starts_with("/**") && !self.rest.starts_with("/**/"));
        let text = if doc { &body[1..] } else { body };
        self.push(Token::Comment { doc, text: text.trim().to_owned() }, end);
    }

    fn push(&mut self, token: Token, end: usize) {
        self.found.push(Located { line: self.line, token });
        self.skip(end);
    }

    fn skip(&mut self, end: usize) {
        self.line += self.rest[..end].matches('\n').count();
        self.rest = &self.rest[end..];
    }
}

fn block_comment_end(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The offset behind the opening quote of `r"`, `r#"`, `br"`, `cr"`, and the text that closes it.
fn raw_string(rest: &str) -> Option<(usize, String)> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        rest.strip_prefix(prefix).is_some_and(|after| after.trim_start_matches('#').starts_with('"'))
    })?;
    let hashes = rest[prefix.len()..].chars().take_while(|c| *c == '#').count();
    Some((prefix.len() + hashes + 1, format!("\"{}", "#".repeat(hashes))))
}

fn string_start(rest: &str) -> Option<usize> {
    ["\"", "b\"", "c\""].into_iter().find(|open| rest.starts_with(open)).map(str::len)
}

fn string_end(rest: &str, open: usize) -> usize {
    let mut escaped = false;
    for (at, c) in rest[open..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return open + at,
            _ => {}
        }
    }
    rest.len()
}

/// The end of a character literal, or of the tick of a lifetime.
fn char_end(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            chars.next();
            chars.find(|(_, c)| *c == '\'').map_or(rest.len(), |(at, _)| at + 1)
        }
        Some((at, c)) if rest[at + c.len_utf8()..].starts_with('\'') => at + c.len_utf8() + 1,
        _ => 1,
    }
}

/// For each token, whether it belongs to an item under `#[cfg(test)]`.
pub fn in_tests(tokens: &[Located]) -> Vec<bool> {
    let mut marked = vec![false; tokens.len()];
    let mut at = 0;
    while at < tokens.len() {
        let Some(body) = cfg_test_end(tokens, at) else {
            at += 1;
            continue;
        };
        let end = item_end(tokens, body);
        marked[at..end].fill(true);
        at = end;
    }
    marked
}

/// The index behind `#[cfg(test)]` or `#[cfg(all(test, …))]`, where one begins at `at`.
fn cfg_test_end(tokens: &[Located], at: usize) -> Option<usize> {
    let is =
        |offset: usize, token: &Token| tokens.get(at + offset).is_some_and(|found| found.token == *token);
    let opens =
        is(0, &Token::Symbol('#')) && is(1, &Token::Symbol('[')) && is(2, &Token::Word("cfg".to_owned()));
    if !opens {
        return None;
    }
    let end = tokens[at..].iter().position(|found| found.token == Token::Symbol(']'))? + at;
    let attribute = &tokens[at..end];
    let has = |word: &str| attribute.iter().any(|found| found.token == Token::Word(word.to_owned()));
    (has("test") && !has("not") && !has("any")).then_some(end + 1)
}

/// The index behind the item that begins at `at`: its `;` or its closing brace.
fn item_end(tokens: &[Located], at: usize) -> usize {
    let mut depth = 0_usize;
    for (index, found) in tokens.iter().enumerate().skip(at) {
        match found.token {
            Token::Symbol('{' | '(' | '[') => depth += 1,
            Token::Symbol('}') if depth <= 1 => return index + 1,
            Token::Symbol('}' | ')' | ']') => depth = depth.saturating_sub(1),
            Token::Symbol(';') if depth == 0 => return index + 1,
            _ => {}
        }
    }
    tokens.len()
}

#[test]
fn tokens_of_strings_and_comments_are_kept_apart() {
    let source = "//! Doc.\nfn a<'x>() { // tail\n let b = \"// no \\\" comment\"; let c = '\"'; r#\"raw \" x\"#; /* b */ }";
    let found: Vec<_> = tokens(source).into_iter().map(|found| (found.line, found.token)).collect();
    assert_eq!(found[0], (1, Token::Comment { doc: true, text: "Doc.".to_owned() }));
    assert!(found.contains(&(2, Token::Comment { doc: false, text: "tail".to_owned() })));
    assert!(found.contains(&(3, Token::Text("// no \\\" comment".to_owned()))));
    assert!(found.contains(&(3, Token::Text("raw \" x".to_owned()))));
    assert!(found.contains(&(3, Token::Comment { doc: false, text: "b".to_owned() })));
    assert_eq!(found.last().unwrap().1, Token::Symbol('}'));
}

#[test]
fn cfg_test_module_is_marked_to_its_end() {
    let tokens =
        tokens("fn a() {}\n#[cfg(test)]\nmod tests { fn b() { [1]; } }\n#[cfg(not(test))]\nfn c() {}");
    let marked = in_tests(&tokens);
    let names: Vec<_> =
        tokens.iter().zip(marked).filter(|(_, test)| *test).map(|(found, _)| &found.token).collect();
    assert!(names.contains(&&Token::Word("b".to_owned())) && names.last() == Some(&&Token::Symbol('}')));
    assert!(!names.contains(&&Token::Word("a".to_owned())) && !names.contains(&&Token::Word("c".to_owned())));
}
