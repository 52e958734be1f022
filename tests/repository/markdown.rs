//! A scanner for Markdown: prose without code, links, and anchors.

/// A link or an image.
#[derive(Debug, PartialEq, Eq)]
pub struct Link {
    /// The number of its line, from 1.
    pub line: usize,
    pub target: String,
}

/// Replaces fenced code blocks, code spans and HTML comments by spaces. Lines stay.
pub fn without_code(text: &str) -> String {
    let mut fence: Option<String> = None;
    let mut lines = Vec::new();
    for line in text.split('\n') {
        let trimmed = line.trim_start();
        let mark = ["```", "~~~"]
            .iter()
            .find(|mark| trimmed.starts_with(**mark));
        match (&fence, mark) {
            (None, None) => {
                lines.push(line.to_owned());
                continue;
            }
            (None, Some(mark)) => fence = Some((*mark).to_owned()),
            (Some(open), _) if trimmed.trim_end() == open => fence = None,
            (Some(_), _) => {}
        }
        lines.push(String::new());
    }
    without_spans(&lines.join("\n"))
}

/// Replaces code spans and HTML comments by spaces.
fn without_spans(text: &str) -> String {
    let mut prose = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = match next {
            '`' => Some(span_length(rest)),
            '<' if rest.starts_with("<!--") => {
                Some(rest.find("-->").map_or(rest.len(), |at| at + 3))
            }
            _ => None,
        };
        let taken = length.unwrap_or(next.len_utf8());
        if length.is_some() {
            let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
            prose.extend(rest[..taken].chars().map(blank));
        } else {
            prose.push(next);
        }
        rest = &rest[taken..];
    }
    prose
}

/// The length of the code span that a text begins with, or of the backticks, if no span does. A
/// span ends in its paragraph.
fn span_length(text: &str) -> usize {
    let ticks = text.len() - text.trim_start_matches('`').len();
    let paragraph = text.find("\n\n").unwrap_or(text.len());
    let mut at = ticks;
    while let Some(found) = text[at..paragraph].find('`') {
        let start = at + found;
        let run = text[start..].len() - text[start..].trim_start_matches('`').len();
        if run == ticks {
            return start + run;
        }
        at = start + run;
    }
    ticks
}

/// Returns the words of a text in Markdown: without code, and without the targets of links.
pub fn prose(text: &str) -> String {
    let text = without_code(text);
    let mut prose = String::with_capacity(text.len());
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            prose.push('\n');
        }
        if definition(line).is_none() {
            let mut rest = line;
            while let Some(at) = rest.find("](") {
                prose.push_str(&rest[..=at]);
                let target = &rest[at + 1..];
                rest = &target[target_length(target)..];
            }
            for (number, piece) in rest.split('<').enumerate() {
                // An autolink, such as <https://example.com>.
                let link = piece
                    .split_once('>')
                    .filter(|(link, _)| number > 0 && link.contains("://"));
                prose.push_str(link.map_or(piece, |(_, after)| after));
            }
        }
    }
    prose
}

/// The length of `(target)`, parentheses included.
fn target_length(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

/// The name and the target of a link definition: `[name]: target`.
fn definition(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.trim_start().strip_prefix('[')?.split_once("]:")?;
    let target = rest.split_whitespace().next()?;
    (!name.contains(']')).then_some((name, target.trim_matches(['<', '>'])))
}

/// Returns the links and images of a page: inline links, definitions, autolinks, and the
/// attributes `href` and `src` of HTML. A reference without a definition has the target
/// `[name]`.
pub fn links(page: &str) -> Vec<Link> {
    let text = without_code(page);
    let defined: Vec<_> = text
        .lines()
        .filter_map(|line| Some(definition(line)?.0.to_lowercase()))
        .collect();
    let mut links = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let mut found = |target: &str| {
            links.push(Link {
                line: at + 1,
                target: target.to_owned(),
            });
        };
        if let Some((_, target)) = definition(line) {
            found(target);
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let target = &line[at + 1..];
            let inside = &target[1..target_length(target).max(2) - 1];
            found(inside.split_whitespace().next().unwrap_or_default());
        }
        for (at, _) in line.match_indices("][") {
            let name = line[at + 2..].split(']').next().unwrap_or_default();
            if !name.is_empty() && !defined.contains(&name.to_lowercase()) {
                found(&format!("[{name}]"));
            }
        }
        for scheme in ["<http://", "<https://"] {
            for (at, _) in line.match_indices(scheme) {
                found(line[at + 1..].split('>').next().unwrap_or_default());
            }
        }
        for attribute in [" href=\"", " src=\""] {
            for (at, _) in line.match_indices(attribute) {
                let value = &line[at + attribute.len()..];
                found(value.split('"').next().unwrap_or_default());
            }
        }
    }
    links
}

/// Returns the anchors of a page's headings, as GitHub makes them.
pub fn anchors(page: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    // A heading may contain code spans, so only the lines of code blocks are left out.
    let blocks = without_code(&page.replace('`', "\u{1}").replace("\u{1}\u{1}\u{1}", "```"));
    for line in blocks.lines() {
        let text = line.trim_start_matches('#');
        let level = line.len() - text.len();
        if !(1..=6).contains(&level) || !text.starts_with(' ') {
            continue;
        }
        let slug = slug(&prose(text));
        let repeated = anchors
            .iter()
            .filter(|anchor| {
                anchor.strip_prefix(&slug).is_some_and(|rest| {
                    rest.is_empty()
                        || rest
                            .strip_prefix('-')
                            .is_some_and(|n| n.parse::<u32>().is_ok())
                })
            })
            .count();
        anchors.push(match repeated {
            0 => slug,
            number => format!("{slug}-{number}"),
        });
    }
    anchors
}

fn slug(heading: &str) -> String {
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// Returns the rows of the tables below a heading, each as its cells, without the head.
pub fn table_rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let section = page
        .lines()
        .skip_while(|line| line.trim() != heading)
        .skip(1)
        .take_while(|line| !line.starts_with("## "));
    section
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let cells = line.trim().trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_has_no_code_and_no_targets() {
        let page = "One `what` two\n```sh\nwhat\n```\nthree ``a ` what`` [four `x`](what.md#who)\n<!-- what -->five <https://what.example/>\n[who]: what.md\n";
        let prose = prose(page);
        let words: Vec<_> = prose.split_whitespace().collect();
        assert_eq!(words, ["One", "two", "three", "[four", "]", "five"]);
        assert_eq!(prose.lines().count(), page.lines().count());
    }

    #[test]
    fn code_span_ends_in_its_paragraph() {
        assert_eq!(without_code("a ` b\n\nc ` d"), "a   b\n\nc   d");
        assert_eq!(without_code("a `b\nc` d"), "a   \n   d");
    }

    #[test]
    fn links_of_each_form_are_found() {
        let page = "[a](b.md) ![c](d.png \"t\")\n`[no](no.md)`\n[e]: f.md\n[g][e] [h][i]\n<https://j.k/>\n<img src=\"l.svg\">\n[m](n_(o).md)";
        let found = links(page);
        let found: Vec<_> = found.iter().map(|it| (it.line, &*it.target)).collect();
        assert_eq!(
            found,
            [
                (1, "b.md"),
                (1, "d.png"),
                (3, "f.md"),
                (4, "[i]"),
                (5, "https://j.k/"),
                (6, "l.svg"),
                (7, "n_(o).md")
            ]
        );
    }

    #[test]
    fn anchors_are_those_of_github() {
        let page = "# A domain name, CloudFront and WAF\n## `GONE#`: a *key*\n## Same\n## Same\n```sh\n# no\n```\n#no\n## [Link](x.md)\n";
        assert_eq!(
            anchors(page),
            [
                "a-domain-name-cloudfront-and-waf",
                "gone-a-key",
                "same",
                "same-1",
                "link"
            ]
        );
    }

    #[test]
    fn table_rows_are_those_of_the_section() {
        let page = "## A\n| x | y |\n|---|---|\n| 1 | 2 |\n## B\n| x |\n|---|\n| 3 |\n";
        assert_eq!(table_rows(page, "## A"), [["1", "2"]]);
    }
}
