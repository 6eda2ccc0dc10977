//! A test's process that is killed leaves no program behind.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use session_test_program::Program;

const PROGRAM: &str = "SESSION_TEST_PROGRAM";

/// Not a test of its own: the process that the test below kills.
#[test]
fn a_parent_to_be_killed() {
    let Ok(program) = env::var(PROGRAM) else {
        return;
    };
    let program = Program::start(&program, &[]);
    // It tells its pid as a port.
    println!("pid {}", program.address());
    loop {
        thread::park();
    }
}

#[test]
fn a_killed_parent_leaves_no_program_behind() {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("program");
    let script = "#!/bin/sh\necho \"listening on http://$$\"\nexec sleep 600\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let mut parent = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_parent_to_be_killed", "--nocapture"])
        .env(PROGRAM, &program)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    let pid = lines
        .find_map(|line| Some(line.split_once("pid ")?.1.to_owned()))
        .unwrap();
    assert!(runs(&pid));

    parent.kill().unwrap();
    parent.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while runs(&pid) {
        assert!(Instant::now() < deadline, "it goes on");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether there is such a process; a zombie has ended.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit_once(") ").unwrap().1.starts_with('Z'))
}
