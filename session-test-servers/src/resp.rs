//! As much of Redis's protocol as tests and readiness need.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A connection to the server's own socket: also there when the port speaks TLS.
pub(crate) struct Connection(BufReader<UnixStream>);

impl Connection {
    pub(crate) fn open(socket: &Path, password: Option<&str>) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut connection = Self(BufReader::new(stream));
        if let Some(password) = password {
            connection.call(&[b"AUTH", password.as_bytes()])?;
        }
        Ok(connection)
    }

    /// The answer as text; an array's elements are on lines of their own. An error of the server
    /// is an error here.
    pub(crate) fn call(&mut self, command: &[&[u8]]) -> io::Result<String> {
        let mut request = format!("*{}\r\n", command.len()).into_bytes();
        for argument in command {
            request.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            request.extend_from_slice(argument);
            request.extend_from_slice(b"\r\n");
        }
        self.0.get_mut().write_all(&request)?;
        let mut lines = Vec::new();
        self.read_into(&mut lines)?;
        Ok(lines.join("\n"))
    }

    fn read_into(&mut self, lines: &mut Vec<String>) -> io::Result<()> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let line = line.trim_end();
        let (kind, rest) = line
            .split_at_checked(1)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        match kind {
            "-" => return Err(io::Error::other(rest.to_owned())),
            "$" => match length(rest)? {
                Some(length) => lines.push(self.read_text(length)?),
                None => lines.push(String::new()),
            },
            "*" => {
                for _ in 0..length(rest)?.unwrap_or(0) {
                    self.read_into(lines)?;
                }
            }
            _ => lines.push(rest.to_owned()),
        }
        Ok(())
    }

    fn read_text(&mut self, length: usize) -> io::Result<String> {
        let mut text = vec![0; length + 2];
        self.0.read_exact(&mut text)?;
        text.truncate(length);
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// `None`: Redis's nil.
fn length(text: &str) -> io::Result<Option<usize>> {
    let length: i64 = text.parse().map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(usize::try_from(length).ok())
}

const TIMEOUT: Duration = Duration::from_secs(30);
