//! What the program says, and how it ends.

use std::process::Command;

use crate::demo::Demo;

#[test]
fn what_cannot_be_had_ends_with_one_line_and_exit_code_2() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let in_a_file = format!("file:{}/sessions", file.display());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("an address").to_string();
    let key = file.to_str().expect("a path of text");
    let new_key = dir.path().join("key");
    let new_key = new_key.to_str().expect("a path of text");
    let table: &[(&[&str], &str)] = &[
        (
            &["--store", "cookie:nowhere:", "--secret-key-file", new_key],
            "no store with the scheme `nowhere:`",
        ),
        (
            &[
                "--store=cookie:memory:",
                "--ignore-expiry",
                "--secret-key-file",
                new_key,
            ],
            "never be forgotten",
        ),
        (
            &["--store", "nowhere:"],
            "no store with the scheme `nowhere:`",
        ),
        (&["--store", "sessions"], "begins with a scheme"),
        (
            &["--store", "redis://u:hunter2@127.0.0.1:1"],
            if cfg!(feature = "redis") {
                "connecting to redis failed"
            } else {
                "the feature `redis`"
            },
        ),
        (&["--store", "cookie:"], "--secret-key-file FILE"),
        (
            &["--store", "cookie:sid", "--secret-key-file", key],
            "--secret-key-file",
        ),
        (&["--store", in_a_file.as_str()], "--store"),
        (&["--store", "memory:", "--bind", taken.as_str()], "--bind"),
        (
            &["--store", "memory:", "--cookie-name", "__Host-a"],
            "secure",
        ),
        (&["--store", "memory:", "--cookie-name", "a;b"], "cookie"),
        (
            &["--store", "memory:", "--trust-proxy", "10.0.0.0/40"],
            "--trust-proxy",
        ),
        (
            &["--store", "memory:", "--secret-key-file", key],
            "--secret-key-file",
        ),
        (&["--timeout", "0"], "whole seconds"),
        (&["--nonsense"], "--nonsense"),
    ];
    for (args, part) in table {
        let output = Command::new(env!("CARGO_BIN_EXE_session-demo"))
            .args(
                ["--bind", "127.0.0.1:0"]
                    .iter()
                    .filter(|_| !args.contains(&"--bind")),
            )
            .args(*args)
            .output()
            .expect("the demo starts");
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
        assert!(said.starts_with("session-demo: "), "{said}");
        assert!(said.contains(part), "{args:?}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert_eq!(output.stdout, b"", "{args:?}");
    }
}

#[cfg(not(feature = "actix"))]
#[test]
fn a_framework_that_is_not_in_the_build_names_its_feature() {
    let output = Command::new(env!("CARGO_BIN_EXE_session-demo"))
        .args(["--bind", "127.0.0.1:0", "--framework", "actix"])
        .output()
        .expect("the demo starts");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "session-demo: --framework actix is not in this build: turn on the feature `actix`\n"
    );
}

#[test]
fn it_says_where_it_listens_and_once_that_cookies_are_not_secure() {
    let demo = Demo::start(&["--store", "memory:"]);
    let said = demo.interrupt_and_wait();
    assert_eq!(said.code, Some(0));
    assert_eq!(said.stdout, "", "nothing after the address");
    assert_eq!(said.stderr.lines().count(), 1, "{}", said.stderr);
    assert!(said.stderr.contains("without Secure"), "{}", said.stderr);
}

#[tokio::test]
async fn beyond_loopback_cookies_are_secure_and_nothing_is_said() {
    let args = ["--store", "memory:", "--framework", crate::FRAMEWORK];
    let demo = Demo::start_with(&args, "0.0.0.0:0");
    let url = demo.url.replace("0.0.0.0", "127.0.0.1");
    let reply = crate::client::Client::new(&url).get("/count").await;
    let cookie = reply.header("set-cookie");
    assert!(cookie.starts_with("__Host-sid="), "{cookie}");
    assert!(cookie.contains("; Secure"), "{cookie}");
    assert_eq!(demo.interrupt_and_wait().stderr, "");
}

#[test]
fn help_is_no_failure() {
    let output = Command::new(env!("CARGO_BIN_EXE_session-demo"))
        .arg("--help")
        .output()
        .expect("the demo starts");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("--store"));
}
