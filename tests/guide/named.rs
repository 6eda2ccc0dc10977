//! The names of the workspace's tests, which a row may point at.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// The name of each test in the Rust files below `folder`, and of each scenario of a suite.
pub(crate) fn tests(folder: &Path) -> HashSet<String> {
    let mut names = HashSet::new();
    collect(folder, &mut names);
    names
}

fn collect(folder: &Path, names: &mut HashSet<String>) {
    for entry in fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("the folder can be listed").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            collect(&path, names);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).expect("the file can be read");
            names.extend(in_file(&text).map(str::to_owned));
        }
    }
}

/// What a line of a list names.
type InList = fn(&str) -> Option<&str>;

/// How the lists begin that macros make tests of; each ends with a brace that stands as far to the
/// left as its beginning.
const LISTS: [(&str, InList); 3] = [
    ("suite! {", scenario),
    ("$crate::__conformance_expand! {", property),
    ("in_every_database! {", function),
];

fn in_file(text: &str) -> impl Iterator<Item = &str> {
    let mut list: Option<(&str, InList)> = None;
    let mut is_test = false;
    text.lines().filter_map(move |line| {
        let bare = line.trim_start();
        let indent = &line[..line.len() - bare.len()];
        if let Some((left, in_list)) = list {
            if indent == left && bare.starts_with('}') {
                list = None;
            }
            return in_list(bare).and_then(word);
        }
        list = LISTS
            .iter()
            .find(|(begin, _)| bare.starts_with(begin))
            .map(|(_, in_list)| (indent, *in_list));
        is_test |= is_test_attribute(bare);
        let name = function(bare)?;
        std::mem::take(&mut is_test).then_some(name).and_then(word)
    })
}

/// A line of its own, within the braces of its file.
fn scenario(line: &str) -> Option<&str> {
    (!line.ends_with('{')).then_some(line)
}

/// `file: name needs ability;`
fn property(line: &str) -> Option<&str> {
    Some(line.split_once(": ")?.1)
}

/// `#[test]`, and those of the runtimes: `#[tokio::test(…)]`.
fn is_test_attribute(line: &str) -> bool {
    let attribute = line.strip_prefix("#[").unwrap_or_default();
    let path = attribute.split(['(', ']']).next().unwrap_or_default();
    path == "test" || path.ends_with("::test")
}

/// What stands behind `fn`.
fn function(line: &str) -> Option<&str> {
    line.strip_prefix("fn ")
        .or_else(|| line.strip_prefix("async fn "))
}

/// The word that `text` begins with.
fn word(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    let word = &text[..end.unwrap_or(text.len())];
    (!word.is_empty()).then_some(word)
}

#[test]
fn tests_and_scenarios_are_found_and_no_other_functions() {
    let text = "
        #[test]
        fn one() {}

        fn not_one() {}

        #[tokio::test(flavor = \"multi_thread\")]
        #[ignore]
        async fn two() {
            fn nor_this() {}
        }

        suite! {
            file {
                three
                four
            }
        }

        $crate::__conformance_expand! { [$($asked)*]
            create: five;
            sweep: six needs sweep;
        }

        in_every_database! {
            async fn seven(database: Database) {
                nor_that(database);
            }
        }

        fn nor_what_follows() {}
    ";
    let found: Vec<_> = in_file(text).collect();
    assert_eq!(
        found,
        ["one", "two", "three", "four", "five", "six", "seven"]
    );
}
