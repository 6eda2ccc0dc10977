//! The guide's page shows what stands in `src`, and so what compiles and is tested.

use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../../../docs/guide/recipes.md");

/// The text of all files in `folder`, without the white space that only formatting needs.
fn code_in(folder: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = String::new();
    for file in fs::read_dir(root.join(folder)).unwrap() {
        all += &fs::read_to_string(file.unwrap().path()).unwrap();
    }
    folded(&all)
}

fn folded(code: &str) -> String {
    let words: Vec<&str> = code.split_whitespace().collect();
    words.join(" ")
}

#[test]
fn every_block_of_the_page_stands_in_a_file() {
    let code = code_in("src") + &code_in("tests");
    let mut blocks = PAGE.split("```rust\n").skip(1).peekable();
    assert!(blocks.peek().is_some());
    for block in blocks {
        let (block, _) = block.split_once("```").expect("a block has an end");
        // What is left out between two pieces is an empty line.
        for piece in block.split("\n\n") {
            assert!(code.contains(&folded(piece)), "in no file:\n{piece}");
        }
    }
}

#[test]
fn every_file_of_a_recipe_is_linked() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in fs::read_dir(root.join("src")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let link = format!("(../../examples/recipes/src/{name})");
        assert!(
            name == "lib.rs" || PAGE.contains(&link),
            "no link to {name}"
        );
    }
}
