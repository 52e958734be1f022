//! A scanner for Rust sources: it tells comments, literals and code apart.

use std::sync::LazyLock;

use crate::tree;

/// A scanned source.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// Comments in order. Line comments on consecutive lines are one comment.
    pub comments: Vec<Comment>,
    /// The source with spaces in place of comments and of the content of literals. Lines stay.
    pub code: String,
}

/// A comment without its markers.
#[derive(Debug, PartialEq, Eq)]
pub struct Comment {
    /// The number of its first line, from 1.
    pub line: usize,
    pub text: String,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    /// The number of the line with `fn`, from 1.
    pub line: usize,
    /// The number of lines from `fn` to the closing brace.
    pub lines: usize,
}

/// A source file of the repository.
pub struct File {
    pub path: &'static str,
    /// The folder of its package.
    pub package: &'static str,
    pub text: String,
    pub source: Source,
}

/// Every source file of the repository.
pub static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let file = |path| {
        let text = tree::read(path);
        File {
            path,
            package: tree::package_of(path).expect("a source belongs to a package"),
            source: scan(&text),
            text,
        }
    };
    tree::files_of("rs").map(file).collect()
});

/// Scans a source.
pub fn scan(source: &str) -> Source {
    let mut scanner = Scanner {
        rest: source,
        line: 1,
        code: String::with_capacity(source.len()),
        comments: Vec::new(),
        last_line_comment: None,
    };
    while !scanner.rest.is_empty() {
        scanner.step();
    }
    Source {
        comments: scanner.comments,
        code: scanner.code,
    }
}

struct Scanner<'s> {
    rest: &'s str,
    line: usize,
    code: String,
    comments: Vec<Comment>,
    /// The line of the latest line comment that stands alone on its line.
    last_line_comment: Option<usize>,
}

impl<'s> Scanner<'s> {
    /// Scans one comment, literal or character.
    fn step(&mut self) {
        let rest = self.rest;
        if rest.starts_with("//") {
            self.line_comment();
        } else if rest.starts_with("/*") {
            self.block_comment();
        } else if let Some(length) = raw_string(rest).filter(|_| !self.is_in_word()) {
            self.blank(length);
        } else if rest.starts_with('"') {
            self.blank(string(rest));
        } else if rest.starts_with('\'') {
            // Otherwise it is a lifetime.
            match char_literal(rest) {
                Some(length) => self.blank(length),
                None => self.copy(),
            }
        } else {
            self.copy();
        }
    }

    /// Tells whether the previous character belongs to a word, such as the `r` of `for`.
    fn is_in_word(&self) -> bool {
        self.code.chars().next_back().is_some_and(is_word)
    }

    fn take(&mut self, length: usize) -> &'s str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.line += taken.matches('\n').count();
        taken
    }

    fn copy(&mut self) {
        let length = self.rest.chars().next().map_or(0, char::len_utf8);
        let taken = self.take(length);
        self.code.push_str(taken);
    }

    /// Replaces everything but line ends by spaces. The quotation marks stay, so that a literal is
    /// not empty.
    fn blank(&mut self, length: usize) {
        let taken = self.take(length);
        self.code
            .extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
    }

    fn line_comment(&mut self) {
        let line = self.line;
        let length = self.rest.find('\n').unwrap_or(self.rest.len());
        let alone = self
            .code
            .rsplit('\n')
            .next()
            .is_some_and(|before| before.trim().is_empty());
        let text = self.rest[..length].trim_start_matches('/');
        let text = text.strip_prefix('!').unwrap_or(text);
        let text = text.strip_prefix(' ').unwrap_or(text);
        match self.comments.last_mut() {
            Some(comment) if alone && self.last_line_comment == Some(line - 1) => {
                comment.text.push('\n');
                comment.text.push_str(text);
            }
            _ => self.comments.push(Comment {
                line,
                text: text.to_owned(),
            }),
        }
        self.last_line_comment = alone.then_some(line);
        self.blank(length);
    }

    fn block_comment(&mut self) {
        let line = self.line;
        let mut depth = 0;
        let mut length = 0;
        loop {
            let rest = &self.rest[length..];
            if rest.starts_with("/*") {
                depth += 1;
                length += 2;
            } else if rest.starts_with("*/") {
                depth -= 1;
                length += 2;
            } else {
                length += rest.chars().next().map_or(0, char::len_utf8);
            }
            if depth == 0 || length == self.rest.len() {
                break;
            }
        }
        let text = self.rest[..length].trim_matches(['/', '*', '!']);
        self.comments.push(Comment {
            line,
            text: text.trim().to_owned(),
        });
        self.blank(length);
    }
}

/// Tells whether a character can be a part of an identifier.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the raw string that a text begins with.
fn raw_string(text: &str) -> Option<usize> {
    let body = ["r", "br", "cr"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))?;
    let inner = body.trim_start_matches('#');
    let hashes = &body[..body.len() - inner.len()];
    let content = inner.strip_prefix('"')?;
    let end = format!("\"{hashes}");
    let length = content
        .find(&end)
        .map_or(content.len(), |at| at + end.len());
    Some(text.len() - content.len() + length)
}

/// The length of the string that a text begins with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the character literal that a text begins with. A lifetime is none.
fn char_literal(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        // The escaped character can be a quotation mark.
        let (at, escaped) = chars.next()?;
        let after = at + escaped.len_utf8();
        return Some(after + text[after..].find('\'')? + 1);
    }
    let (at, next) = chars.next()?;
    (next == '\'').then_some(at + 1)
}

/// Returns the functions of scanned code, nested ones included.
pub fn functions(code: &str) -> Vec<Function> {
    let mut functions = Vec::new();
    for (start, _) in code.match_indices("fn ") {
        if code[..start].chars().next_back().is_some_and(is_word) {
            continue;
        }
        let rest = code[start + 2..].trim_start();
        let name: String = rest.chars().take_while(|c| is_word(*c)).collect();
        if name.is_empty() {
            continue;
        }
        let body_end = item_end(&code[start..]).map(|end| start + end);
        if let Some(end) = body_end.filter(|end| code.as_bytes()[*end] == b'}') {
            functions.push(Function {
                name,
                line: 1 + code[..start].matches('\n').count(),
                lines: 1 + code[start..end].matches('\n').count(),
            });
        }
    }
    functions
}

/// Returns the position of the last byte of the item that scanned code begins with: the semicolon
/// or the closing brace.
pub fn item_end(code: &str) -> Option<usize> {
    let (mut nesting, mut braces) = (0_usize, 0_usize);
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'(' | b'[' => nesting += 1,
            b')' | b']' => nesting = nesting.saturating_sub(1),
            b'{' => braces += 1,
            b'}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 && nesting == 0 {
                    return Some(at);
                }
            }
            b';' if nesting == 0 && braces == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comments(source: &str) -> Vec<(usize, String)> {
        let comments = scan(source).comments;
        comments.into_iter().map(|it| (it.line, it.text)).collect()
    }

    #[test]
    fn comments_on_consecutive_lines_are_one() {
        let source =
            "//! One\n//! two.\n\n/// Three\nfn f() {} // four\n// five\n/* six\n/* s */ */ x();";
        let expected = [
            (1, "One\ntwo."),
            (4, "Three"),
            (5, "four"),
            (6, "five"),
            (7, "six\n/* s */"),
        ];
        let found = comments(source);
        let found: Vec<_> = found.iter().map(|(line, text)| (*line, &**text)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn slashes_in_literals_are_no_comments() {
        let source = r##"a("http://x", r#"" // "#, br"//", '"', '\'', b'/', "\"//"); // yes"##;
        assert_eq!(comments(source), [(1, "yes".to_owned())]);
        assert_eq!(
            comments("fn f<'a>(x: &'a str) -> &'a str { x } // yes").len(),
            1
        );
    }

    #[test]
    fn code_keeps_its_lines_without_literals() {
        let code = scan("a(\"b\nc\"); // d\ne").code;
        assert_eq!(code, "a(  \n  );     \ne");
    }

    #[test]
    fn functions_have_their_lines() {
        let source =
            "trait T { fn a(); }\nfn b(x: [u8; 2])\nwhere X: Y {\n  \"}\";\n}\ntype F = fn (u8);";
        let found = functions(&scan(source).code);
        let b = Function {
            name: "b".to_owned(),
            line: 2,
            lines: 4,
        };
        assert_eq!(found, [b]);
    }
}
