//! As much of PostgreSQL's protocol as tests and readiness need.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A session over the server's own socket, where it trusts everyone who may open the folder.
pub(crate) struct Connection(UnixStream);

impl Connection {
    pub(crate) fn open(socket: &Path, user: &str, database: &str) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut connection = Self(stream);
        let mut startup = 196_608_u32.to_be_bytes().to_vec();
        for text in ["user", user, "database", database, ""] {
            startup.extend_from_slice(text.as_bytes());
            startup.push(0);
        }
        connection.write(None, &startup)?;
        connection.read_answer()?;
        Ok(connection)
    }

    /// Runs statements; rows on lines of their own, their fields joined by `|`.
    pub(crate) fn query(&mut self, sql: &str) -> io::Result<String> {
        let mut text = sql.as_bytes().to_vec();
        text.push(0);
        self.write(Some(b'Q'), &text)?;
        self.read_answer()
    }

    fn write(&mut self, kind: Option<u8>, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len() + 4).map_err(io::Error::other)?;
        let mut message: Vec<u8> = kind.into_iter().collect();
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(body);
        self.0.write_all(&message)
    }

    /// Reads until the server is ready for the next query, or reports an error.
    fn read_answer(&mut self) -> io::Result<String> {
        let mut rows = Vec::new();
        loop {
            let mut head = [0; 5];
            self.0.read_exact(&mut head)?;
            let [kind, length @ ..] = head;
            let length = u32::from_be_bytes(length).saturating_sub(4);
            let mut body = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            self.0.read_exact(&mut body)?;
            match kind {
                b'D' => rows.push(row(&body).ok_or(io::ErrorKind::InvalidData)?),
                b'E' => return Err(io::Error::other(error_text(&body))),
                b'Z' => return Ok(rows.join("\n")),
                _ => {}
            }
        }
    }
}

fn row(mut body: &[u8]) -> Option<String> {
    let count = u16::from_be_bytes(*body.split_off(..2)?.first_chunk()?);
    let mut fields = Vec::new();
    for _ in 0..count {
        let length = i32::from_be_bytes(*body.split_off(..4)?.first_chunk()?);
        // −1: null.
        let field = body.split_off(..usize::try_from(length).unwrap_or(0))?;
        fields.push(String::from_utf8_lossy(field));
    }
    Some(fields.join("|"))
}

/// The SQLSTATE and the message.
fn error_text(body: &[u8]) -> String {
    let fields = body.split(|byte| *byte == 0);
    let wanted = fields.filter_map(|field| match field.split_first() {
        Some((b'C' | b'M', text)) => Some(String::from_utf8_lossy(text)),
        _ => None,
    });
    wanted.collect::<Vec<_>>().join(": ")
}

const TIMEOUT: Duration = Duration::from_secs(30);
