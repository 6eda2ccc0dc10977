//! The notes as they run.

use session_test_program::{Program, Visitor};

fn start() -> (Program, Visitor) {
    let program = Program::start(env!("CARGO_BIN_EXE_flash"), &[]);
    let visitor = program.visitor();
    (program, visitor)
}

/// Posts a note as a browser does: the answer sends it to the page.
fn note(visitor: &mut Visitor, text: &str) {
    let reply = visitor.post("/notes", &format!("text={text}"));
    assert_eq!((reply.status, reply.header("location")), (303, Some("/")));
    assert_eq!(reply.body, "");
}

#[test]
fn a_message_is_shown_on_the_next_page_and_on_no_other() {
    let (_program, mut visitor) = start();
    note(&mut visitor, "milk");
    let page = visitor.get("/").body;
    let message = r#"<p class="success">Noted: milk</p>"#;
    assert!(page.contains(message), "{page}");
    assert!(page.contains("<li>milk</li>"), "{page}");
    let page = visitor.get("/").body;
    assert!(!page.contains("<p"), "{page}");
    assert!(page.contains("<li>milk</li>"), "{page}");
}

#[test]
fn messages_keep_their_categories_and_their_order() {
    let (_program, mut visitor) = start();
    for text in ["milk", "", "%3Cb%3Ebread%3C%2Fb%3E"] {
        note(&mut visitor, text);
    }
    let page = visitor.get("/").body;
    let messages = [
        r#"<p class="success">Noted: milk</p>"#,
        r#"<p class="error">A note needs some text.</p>"#,
        r#"<p class="success">Noted: &lt;b&gt;bread&lt;/b&gt;</p>"#,
    ];
    assert!(page.contains(&messages.concat()), "{page}");
}

#[test]
fn c6_of_two_tabs_at_once_exactly_one_shows_the_message() {
    let (_program, mut visitor) = start();
    for _ in 0..20 {
        note(&mut visitor, "milk");
        let tabs = [(); 2].map(|()| {
            let mut tab = visitor.clone();
            std::thread::spawn(move || tab.get("/").body.matches("<p").count())
        });
        let shown = tabs.map(|tab| tab.join().expect("the page loads"));
        assert_eq!(shown.iter().sum::<usize>(), 1, "{shown:?}");
    }
}

#[test]
fn a_message_is_its_visitors_alone() {
    let (program, mut visitor) = start();
    note(&mut visitor, "milk");
    assert!(!program.visitor().get("/").body.contains("milk"));
    assert!(visitor.get("/").body.contains("Noted: milk"));
}
