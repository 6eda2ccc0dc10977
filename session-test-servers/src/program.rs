//! Where a server's programs are.

use std::env;
use std::path::{Path, PathBuf};

use crate::ServerError;

/// A program of `name`, from `PATH` or one of the folders that servers are installed to.
pub(crate) fn find(name: &str, package: &str) -> Result<PathBuf, ServerError> {
    find_in(folders(), name, package)
}

/// `name` from the folder in which `neighbour` really is, so that both are of one version.
pub(crate) fn find_beside(
    neighbour: &Path,
    name: &str,
    package: &str,
) -> Result<PathBuf, ServerError> {
    let folder = neighbour.canonicalize().ok();
    let folder = folder.as_deref().and_then(Path::parent);
    find_in(folder.map(Path::to_path_buf).into_iter(), name, package)
}

fn find_in(
    mut folders: impl Iterator<Item = PathBuf>,
    name: &str,
    package: &str,
) -> Result<PathBuf, ServerError> {
    folders
        .find_map(|folder| Some(folder.join(name)).filter(|program| program.is_file()))
        .ok_or_else(|| ServerError::new(format!("{name} is missing: apt-get install {package}")))
}

fn folders() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let listed: Vec<PathBuf> = env::split_paths(&path).collect();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    listed.into_iter().chain(system).chain(postgres_folders())
}

/// Debian keeps each version's programs apart; the newest first.
fn postgres_folders() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut folders: Vec<(u32, PathBuf)> = versions
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    folders.sort_by(|(a, _), (b, _)| b.cmp(a));
    folders.into_iter().map(|(_, folder)| folder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_one_line_that_says_what_to_install() {
        let line = "no-such-server is missing: apt-get install its-package";
        let missing = find("no-such-server", "its-package").unwrap_err();
        assert_eq!(missing.to_string(), line);
        let shell = find("sh", "dash").unwrap();
        let missing = find_beside(&shell, "no-such-server", "its-package").unwrap_err();
        assert_eq!(missing.to_string(), line);
    }

    #[test]
    fn a_neighbour_is_looked_for_where_the_program_really_is() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        std::fs::create_dir(&real).unwrap();
        std::fs::create_dir(&link).unwrap();
        for program in ["postgres", "initdb"] {
            std::fs::write(real.join(program), "").unwrap();
        }
        std::os::unix::fs::symlink(real.join("postgres"), link.join("postgres")).unwrap();
        let found = find_beside(&link.join("postgres"), "initdb", "postgresql").unwrap();
        assert_eq!(found, real.canonicalize().unwrap().join("initdb"));
    }
}
