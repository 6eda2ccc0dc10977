//! What the figures were measured on.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The processor, the versions of what was measured, and the file system of `disk`, a line each.
#[must_use]
pub fn describe(disk: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("an unknown processor", |rest| {
        rest.trim_start_matches(['\t', ' ', ':'])
    });
    lines.push(format!("{model}, {cores} cores"));
    lines.extend(first_line("uname", &["-sr"]));
    lines.extend(first_line("rustc", &["--version"]));
    lines.extend(first_line("redis-server", &["--version"]).map(|line| short(&line, " sha=")));
    lines.extend(first_line("postgres", &["--version"]));
    lines.extend(first_line("mariadbd", &["--version"]).map(|line| short(&line, " for ")));
    let disk = disk.display().to_string();
    let kind = first_line("stat", &["-f", "-c", "%T", &disk]);
    lines.extend(kind.map(|kind| format!("files on {kind}")));
    lines
}

fn first_line(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

fn short(line: &str, end: &str) -> String {
    line.split(end).next().unwrap_or_default().to_owned()
}
