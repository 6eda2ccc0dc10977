//! The system user that a server runs as.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use crate::ServerError;

/// A user of the system, by number.
#[derive(Clone, Copy)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// For a server that refuses to run as root: the user `name` when we are root, else no other.
    pub(crate) fn unless_root(name: &str, package: &str) -> Result<Option<Self>, ServerError> {
        if !rustix::process::getuid().is_root() {
            return Ok(None);
        }
        let users =
            fs::read_to_string("/etc/passwd").map_err(ServerError::io("reading /etc/passwd"))?;
        let user = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == name).then_some(())?;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some(Self { uid, gid })
        });
        user.map(Some).ok_or_else(|| {
            ServerError::new(format!(
                "the user {name} is missing: apt-get install {package}"
            ))
        })
    }

    pub(crate) fn own(self, path: &Path) -> Result<(), ServerError> {
        chown(path, Some(self.uid), Some(self.gid)).map_err(ServerError::io(format_args!(
            "giving {} away",
            path.display()
        )))
    }
}
