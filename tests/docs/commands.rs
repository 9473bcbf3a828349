//! Checks commands of `./dev` and `wharf` against the script and the definition of the command line.

use std::fs;

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use super::root;

/// The subcommands of `./dev`.
pub struct Dev {
    script: String,
}

impl Dev {
    pub fn read() -> Self {
        Self { script: fs::read_to_string(root().join("dev")).unwrap() }
    }

    fn wrong(&self, words: &[String]) -> Option<String> {
        let command = words.first()?;
        let is_case = |line: &str| line.trim_start().starts_with(&format!("{command})"));
        if command != "help" && !self.script.lines().any(is_case) {
            return Some(format!("./dev has no command {command}"));
        }
        let flags = words.iter().filter(|word| command != "wharf" && word.starts_with("--"));
        let unknown = flags.into_iter().find(|flag| !self.script.contains(flag.as_str()))?;
        Some(format!("./dev {command} has no option {unknown}"))
    }
}

/// An error for inline code that names a command: its subcommands and options must exist.
pub fn wrong_inline(dev: &Dev, code: &str) -> Option<String> {
    let words: Vec<String> = code.split_whitespace().map(str::to_owned).collect();
    match words.first()?.as_str() {
        "./dev" => dev.wrong(&words[1..]).or_else(|| match words.get(1)?.as_str() {
            "wharf" => unknown_words(&words[2..]),
            _ => None,
        }),
        "wharf" => unknown_words(&words[1..]),
        _ => None,
    }
}

fn unknown_words(words: &[String]) -> Option<String> {
    let mut command = wharf::cli::Cli::command();
    command.build();
    let mut deepest = &command;
    for word in words {
        if let Some(flag) = word.strip_prefix("--") {
            let flag = flag.split('=').next().unwrap_or(flag);
            let exists = deepest.get_arguments().any(|argument| argument.get_long() == Some(flag));
            if !exists && flag != "help" {
                return Some(format!("wharf {} has no option --{flag}", deepest.get_name()));
            }
        } else if deepest.has_subcommands() {
            let found = deepest.get_subcommands().find(|sub| sub.get_name() == word);
            match found {
                Some(found) => deepest = found,
                None if word.contains('…') => return None,
                None => return Some(format!("wharf {} has no command {word}", deepest.get_name())),
            }
        }
    }
    None
}

/// An error for a command line of a code block: it must parse as a whole.
pub fn wrong_line(dev: &Dev, line: &str) -> Option<String> {
    let words = split(line);
    let start = words.iter().position(|word| !word.contains('='))?;
    match words[start].as_str() {
        "./dev" => dev.wrong(&words[start + 1..]).or_else(|| match words.get(start + 1)?.as_str() {
            "wharf" => unparsed(&words[start + 2..]),
            _ => None,
        }),
        "wharf" => unparsed(&words[start + 1..]),
        _ => None,
    }
}

fn unparsed(words: &[String]) -> Option<String> {
    let filled = words.iter().map(|word| word.replace('…', "1"));
    let error = wharf::cli::try_parse(std::iter::once("wharf".to_owned()).chain(filled)).err()?;
    let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    (!is_help).then(|| {
        format!("wharf {}: {}", words.join(" "), error.to_string().lines().next().unwrap_or_default())
    })
}

/// The words of a shell line up to a comment, a pipe or a redirection.
pub fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut has_word = false;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (None, '\'' | '"') => (quote, has_word) = (Some(c), true),
            (None, '#') if !has_word => break,
            (None, '|' | '<' | '>') => break,
            (None, c) if c.is_whitespace() => {
                if has_word {
                    words.push(std::mem::take(&mut word));
                }
                has_word = false;
            }
            (_, c) => {
                word.push(c);
                has_word = true;
            }
        }
    }
    words.extend(has_word.then_some(word));
    words
}
