//! The rate of vague words in comments and pages: at most 5 in 1,000.

use std::collections::BTreeMap;

use crate::{
    allowed, markdown,
    rust::{self, is_word},
    tree,
};

/// The words that are counted, in any letter case.
const COUNTED: [&str; 10] = [
    "what",
    "whoever",
    "whatever",
    "whichever",
    "whose",
    "whom",
    "nobody",
    "somebody",
    "anybody",
    "nothing",
];

/// The number of words from which a page has a rate. A shorter one may have [`MAX_OF_SHORT_PAGE`].
const LONG_PAGE: usize = 600;
const MAX_OF_SHORT_PAGE: usize = 3;

/// A number of words, and of counted words among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Words {
    all: usize,
    counted: usize,
}

impl Words {
    fn of(prose: &str) -> Self {
        let all = prose
            .split_whitespace()
            .filter(|word| word.contains(char::is_alphanumeric))
            .count();
        let counted = prose
            .split(|c| !is_word(c))
            .filter(|word| COUNTED.contains(&&*word.to_lowercase()))
            .count();
        Self { all, counted }
    }

    fn add(&mut self, other: Self) {
        let Self { all, counted } = other;
        self.all += all;
        self.counted += counted;
    }

    /// Tells whether there are more than 5 counted words in 1,000.
    fn exceed_rate(self) -> bool {
        self.counted * 1_000 > self.all * 5
    }

    fn exceed_page_limit(self) -> bool {
        if self.all > LONG_PAGE {
            self.exceed_rate()
        } else {
            self.counted > MAX_OF_SHORT_PAGE
        }
    }

    fn summary(self) -> String {
        let Self { all, counted } = self;
        format!("{counted} of {all} words are vague; find a precise word, or write directly")
    }
}

/// Counts the words of the comments of each package, by its folder.
fn words_of_comments() -> BTreeMap<String, Words> {
    let mut words: BTreeMap<String, Words> = BTreeMap::new();
    for file in rust::FILES.iter() {
        let of_package = words.entry(file.package.to_owned()).or_default();
        for comment in &file.source.comments {
            of_package.add(Words::of(&markdown::prose(&comment.text)));
        }
    }
    words
}

#[test]
fn comments_of_each_crate_are_precise() {
    let words = words_of_comments();
    for (package, words) in &words {
        println!("{package}: {} of {} words", words.counted, words.all);
    }
    let violations = words
        .into_iter()
        .filter(|(_, words)| words.exceed_rate())
        .map(|(package, words)| (package, words.summary()))
        .collect();
    allowed::check("words-of-comments", &violations);
}

#[test]
fn comments_of_all_crates_are_precise() {
    let mut all = Words::default();
    for words in words_of_comments().into_values() {
        all.add(words);
    }
    assert!(all.all > 10_000, "the crates have comments");
    let violation = all.exceed_rate().then(|| (".".to_owned(), all.summary()));
    allowed::check("words-of-all-comments", &violation.into_iter().collect());
}

#[test]
fn pages_are_precise() {
    let mut violations = BTreeMap::new();
    for page in tree::files_of("md") {
        let words = Words::of(&markdown::prose(&tree::read(page)));
        println!("{page}: {} of {} words", words.counted, words.all);
        if words.exceed_page_limit() {
            violations.insert(page.to_owned(), words.summary());
        }
    }
    allowed::check("words-of-pages", &violations);
}

#[test]
fn counted_words_are_whole_words() {
    let words = Words::of("What's nothing? - `` whatsoever, Nobody knew of the `somebody_else`.");
    assert_eq!(words, Words { all: 8, counted: 3 });
    let rate = |all, counted| Words { all, counted }.exceed_page_limit();
    assert!(!rate(600, 3) && rate(600, 4) && !rate(1_000, 5) && rate(1_000, 6) && rate(601, 4));
}
