//! Text of clients on the console: without credentials, without control characters, and cut.
//!
//! The console can be shared or recorded, so a credential must not appear in it, wherever a client
//! put it. Control characters could change the terminal.

use muster_domain::KeyKind;
use percent_encoding::percent_decode_str;

/// The characters of a text before it is cut.
const MAX_CHARS: usize = 300;

/// The shortest word without hyphens that is hidden for its length. A key of Muster has 43 random
/// characters, a secret key of AWS 40, and a UUID without hyphens 32.
const SHORTEST_SECRET: usize = 40;

/// The shortest rest of a word that begins like a key and is hidden.
const SHORTEST_KEY: usize = 8;

/// The rounds of percent-decoding in the search for credentials.
const MAX_DECODINGS: usize = 8;

/// Parts of the names of query parameters whose values are hidden.
const SECRET_NAMES: [&str; 8] = [
    "key",
    "token",
    "secret",
    "passw",
    "credential",
    "signature",
    "auth",
    "session",
];

/// The replacement of hidden characters.
const HIDDEN: &str = "…";

/// Returns a text in a form for the console.
pub(super) fn clean(text: &str) -> String {
    let printable: String = text.chars().filter_map(printable).collect();
    let shown = without_credentials(&printable);
    match shown.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}{HIDDEN}", &shown[..end]),
        None => shown,
    }
}

/// Returns the path and the query of a request in a form for the console.
pub(super) fn clean_target(path: &str, query: Option<&str>) -> String {
    let mut shown = undisguised(path);
    if let Some(query) = query {
        let parameters: Vec<_> = query.split('&').map(clean_parameter).collect();
        shown.extend(["?", &parameters.join("&")]);
    }
    clean(&shown)
}

fn clean_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, value)) if !value.is_empty() && is_secret_name(name) => {
            format!("{}={HIDDEN}", undisguised(name))
        }
        _ => undisguised(parameter),
    }
}

fn is_secret_name(name: &str) -> bool {
    let name = decoded(name).to_ascii_lowercase();
    SECRET_NAMES.iter().any(|secret| name.contains(secret))
}

/// Returns a text as it was sent, or decoded and without its credentials if it has any.
fn undisguised(text: &str) -> String {
    let decoded = decoded(text);
    let shown = without_credentials(&decoded);
    if shown == decoded {
        text.to_owned()
    } else {
        shown
    }
}

/// Decodes percent-encoding until no encoded character is left.
fn decoded(text: &str) -> String {
    let mut decoded = text.to_owned();
    for _ in 0..MAX_DECODINGS {
        let next = percent_decode_str(&decoded)
            .decode_utf8_lossy()
            .into_owned();
        if next == decoded {
            break;
        }
        decoded = next;
    }
    decoded
}

/// Replaces line breaks and other control characters, and drops characters that change the
/// direction of text or have no width.
fn printable(c: char) -> Option<char> {
    match c {
        '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => None,
        c if c.is_control() => Some(' '),
        c => Some(c),
    }
}

fn without_credentials(text: &str) -> String {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let word_start = rest.find(is_of_word).unwrap_or(rest.len());
        let (between, from_word) = rest.split_at(word_start);
        let word_end = from_word
            .find(|c| !is_of_word(c))
            .unwrap_or(from_word.len());
        let (word, after) = from_word.split_at(word_end);
        shown.push_str(between);
        match credential_start(word) {
            Some(start) => shown.extend([&word[..start], HIDDEN]),
            None => shown.push_str(word),
        }
        rest = after;
    }
    shown
}

/// Returns the start of the secret part of a word: after the prefix of an API key, at a JSON Web
/// Token, or at the beginning of a long word.
fn credential_start(word: &str) -> Option<usize> {
    let lower = word.to_ascii_lowercase();
    let key = KeyKind::ALL.iter().find_map(|kind| {
        let start = lower.find(kind.prefix())? + kind.prefix().len();
        (word.len() - start >= SHORTEST_KEY).then_some(start)
    });
    // The header of a token is JSON that begins with `{"`, in base64.
    let token = word.find("eyJ").filter(|start| word.len() - start >= 16);
    let is_long = word
        .split(['-', '.'])
        .any(|part| part.len() >= SHORTEST_SECRET);
    key.into_iter().chain(token).min().or(is_long.then_some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "tt_admin_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg";

    #[test]
    fn credentials_in_any_encoding_are_hidden() {
        let encoded = KEY.bytes().fold(String::new(), |encoded, byte| {
            encoded + &format!("%{byte:02X}")
        });
        let twice = encoded.replace('%', "%25");
        let upper = KEY.to_ascii_uppercase();
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1LTEifQ.c2lnbmF0dXJlLW9mLWE_LXRva2Vu";
        let secret = &KEY["tt_admin_".len()..];
        for credential in [KEY, &encoded, &twice, &upper, token, secret] {
            for shown in [
                clean_target(&format!("/v1/teams/{credential}/members"), None),
                clean_target("/v1/teams", Some(&format!("search={credential}&limit=2"))),
                clean_target("/v1/teams", Some(&format!("a=1&{credential}=2"))),
                clean_target("/v1/teams", Some(credential)),
            ] {
                let hidden = decoded(credential).to_ascii_lowercase();
                let tail = &hidden[hidden.len() - 8..];
                assert!(
                    !decoded(&shown).to_ascii_lowercase().contains(tail),
                    "{shown}"
                );
                assert!(
                    shown.contains(HIDDEN) && shown.starts_with("/v1/teams"),
                    "{shown}"
                );
            }
        }
        assert_eq!(
            clean(&format!("no key like {KEY}, or Bearer {KEY}")),
            "no key like tt_admin_…, or Bearer tt_admin_…"
        );
        assert_eq!(clean(&format!("x{KEY}")), "xtt_admin_…");
    }

    #[test]
    fn values_of_secret_parameters_are_hidden() {
        for (query, shown) in [
            ("limit=10&cursor=abc", "limit=10&cursor=abc"),
            ("access_token=short", "access_token=…"),
            ("API%4bEY=short&limit=1", "APIKEY=…&limit=1"),
            ("X-Amz-Signature=00ff", "X-Amz-Signature=…"),
            ("token=&password", "token=&password"),
        ] {
            let expected = format!("/?{shown}");
            let expected = expected.replace("APIKEY", "API%4bEY");
            assert_eq!(clean_target("/", Some(query)), expected);
        }
    }

    #[test]
    fn ids_and_words_are_shown() {
        for text in [
            "/v1/teams/team_01a20024-2dce-7152-bc84-89f71c4ce334/members",
            "/v1/teams/01a200242dce7152bc8489f71c4ce334",
            "/v1/assignments/INC-1%2F2",
            "itsm_short, tt_ro_",
            "Técnica / Zoë: 名前",
        ] {
            assert_eq!(clean(text), text);
            assert_eq!(clean_target(text, None), text);
        }
    }

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(clean("a\n\u{1b}[31mb\u{202e}c\u{7f}"), "a  [31mbc ");
        let long = clean(&"é ".repeat(400));
        assert_eq!(long.chars().count(), MAX_CHARS + 1);
        assert!(long.ends_with(HIDDEN));
    }
}
