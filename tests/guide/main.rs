//! The guide says what is true: its lines of code compile, the tests that it and CONTRIBUTING.md name
//! exist, and its links lead somewhere.

#[expect(dead_code, reason = "that it compiles is all it is for")]
mod lines;
mod named;
#[path = "../../examples/custom-store/src/store.rs"]
mod own_store;
mod table;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use table::{Row, code, rows};

const MOVING: &str = include_str!("../../docs/guide/moving.md");
const DEPLOYING: &str = include_str!("../../docs/guide/deploying.md");
const RECIPES: &str = include_str!("../../docs/guide/recipes.md");
const ANCESTORS: &str = include_str!("../../docs/guide/ancestors.md");
const CONTRIBUTING: &str = include_str!("../../CONTRIBUTING.md");
const DESIGN: &str = include_str!("../../DESIGN.md");
const GUIDE: &str = include_str!("../../src/guide.rs");
const LINES: &str = include_str!("lines.rs");

const PAGES: [&str; 4] = [MOVING, DEPLOYING, RECIPES, ANCESTORS];

fn all_pages() -> impl Iterator<Item = Row> {
    PAGES.into_iter().flat_map(rows)
}

/// Text without the white space, and the commas at the ends of lists, that only formatting needs.
fn folded(code: &str) -> String {
    let mut folded = String::new();
    for word in code.split_whitespace() {
        if ends_in_word(&folded) && begins_with_word(word) {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    [")", "}", "]"]
        .iter()
        .fold(folded, |text, end| text.replace(&format!(",{end}"), end))
}

/// Whether `code` stands in `lines`, and is no part of a longer word.
fn stands_in(lines: &str, code: &str) -> bool {
    lines.match_indices(code).any(|(at, _)| {
        let (before, after) = (&lines[..at], &lines[at + code.len()..]);
        let cut = (ends_in_word(before) && begins_with_word(code))
            || (ends_in_word(code) && begins_with_word(after));
        !cut
    })
}

fn begins_with_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn ends_in_word(text: &str) -> bool {
    text.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

#[test]
fn every_line_of_code_in_the_guide_compiles() {
    let lines = folded(LINES);
    let mut missing = Vec::new();
    for row in all_pages() {
        let cell = row.cell("here").unwrap_or_default();
        let absent = code(cell).filter(|code| !stands_in(&lines, &folded(code)));
        missing.extend(absent.map(|code| format!("line {}: {code}", row.line)));
    }
    assert!(
        missing.is_empty(),
        "not in lines.rs:\n{}",
        missing.join("\n")
    );
}

#[test]
fn every_table_says_what_is_here_and_leaves_no_cell_empty() {
    for row in all_pages() {
        let at = row.line;
        assert!(row.is_whole(), "line {at}: not as many cells as columns");
        assert!(
            row.cells().iter().all(|cell| !cell.is_empty()),
            "line {at}: a cell is empty"
        );
        assert!(row.cell("here").is_some(), "line {at}: no column \"here\"");
    }
    for row in rows(MOVING) {
        let here = row.cell("here").unwrap_or_default();
        let said = here.starts_with("none: ") || code(here).next().is_some();
        assert!(said, "line {}: neither code nor a reason: {here}", row.line);
    }
}

#[test]
fn every_row_of_the_ancestors_is_there_once() {
    let sections = [
        ("A", 23),
        ("B", 22),
        ("C", 15),
        ("D", 23),
        ("E", 19),
        ("", 12),
    ];
    let numbers = sections
        .iter()
        .flat_map(|(letter, last)| (1..=*last).map(move |n| format!("{letter}{n}")));
    let here = rows(ANCESTORS);
    let here = here.iter().map(|row| row.cell("row").unwrap_or_default());
    assert_eq!(here.collect::<Vec<_>>(), numbers.collect::<Vec<_>>());
}

#[test]
fn every_test_that_a_row_names_is_there() {
    let tests = named::tests(Path::new(env!("CARGO_MANIFEST_DIR")));
    for row in rows(ANCESTORS) {
        let shown = row.cell("shown by").unwrap_or_default();
        let argued = shown.contains("][");
        let mut named = code(shown).filter(|name| !is_example(name)).peekable();
        assert!(
            named.peek().is_some() || argued,
            "line {}: nothing shows it",
            row.line
        );
        for name in named {
            assert!(tests.contains(name), "line {}: no test {name}", row.line);
        }
    }
}

#[test]
fn every_test_that_the_contributors_are_told_of_is_there() {
    let tests = named::tests(Path::new(env!("CARGO_MANIFEST_DIR")));
    let mut named = code(CONTRIBUTING).filter(|code| begins_with_rule(code));
    let first = named.next().expect("one is the example");
    for name in [first].into_iter().chain(named) {
        assert!(tests.contains(name), "no test {name}");
    }
}

/// Whether it is a test's name: `c3_…`.
fn begins_with_rule(code: &str) -> bool {
    let rule = code.split('_').next().unwrap_or_default();
    let (letter, number) = rule.split_at_checked(1).unwrap_or_default();
    code != rule && letter.chars().all(|c| c.is_ascii_lowercase()) && number.parse::<u8>().is_ok()
}

#[test]
fn every_example_that_a_row_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for row in all_pages() {
        for cell in row.cells() {
            for example in code(cell).filter(|code| is_example(code)) {
                let manifest = root.join(example).join("Cargo.toml");
                assert!(manifest.is_file(), "line {}: no {example}", row.line);
            }
        }
    }
}

fn is_example(code: &str) -> bool {
    code.starts_with("examples/")
}

#[test]
fn every_link_of_the_guide_leads_to_a_heading() {
    let headings: HashSet<String> = DESIGN
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(slug)
        .collect();
    for page in PAGES {
        let links: BTreeMap<&str, &str> = page
            .lines()
            .filter_map(|line| line.strip_prefix('[')?.split_once("]: "))
            .collect();
        for (label, target) in &links {
            let used = page.contains(&format!("][{label}]"));
            assert!(used, "{label} is defined and not used");
            let Some((file, heading)) = target.split_once('#') else {
                continue;
            };
            assert_eq!(file, "../../DESIGN.md");
            assert!(
                headings.contains(heading),
                "DESIGN.md has no heading {heading}"
            );
            let here = format!("[{label}]: crate::guide::design#{heading}\"");
            assert!(GUIDE.contains(&here), "src/guide.rs has no {here}");
        }
        for (at, _) in page.match_indices("][") {
            let label = page[at + 2..].split(']').next().unwrap_or_default();
            assert!(links.contains_key(label), "{label} is used and not defined");
        }
    }
}

/// The name that code hosts and rustdoc give a heading.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}
