//! As much of MariaDB's protocol as tests and readiness need.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A session over the server's own socket, as a user without a password.
pub(crate) struct Connection(UnixStream);

impl Connection {
    pub(crate) fn open(socket: &Path, user: &str, database: &str) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut connection = Self(stream);
        connection.read()?;
        let mut login = CAPABILITIES.to_le_bytes().to_vec();
        login.extend_from_slice(&(1_u32 << 24).to_le_bytes());
        login.push(UTF8MB4);
        login.extend_from_slice(&[0; 23]);
        login.extend_from_slice(user.as_bytes());
        // The end of the name, and an empty answer to the challenge.
        login.extend_from_slice(&[0, 0]);
        for text in [database, "mysql_native_password"] {
            login.extend_from_slice(text.as_bytes());
            login.push(0);
        }
        connection.write(1, &login)?;
        connection.read()?;
        Ok(connection)
    }

    /// Runs one statement; rows on lines of their own, their fields joined by `|`.
    pub(crate) fn query(&mut self, sql: &str) -> io::Result<String> {
        let mut command = vec![3];
        command.extend_from_slice(sql.as_bytes());
        self.write(0, &command)?;
        if self.read()?.first() == Some(&0) {
            return Ok(String::new());
        }
        while !is_end(&self.read()?) {}
        let mut rows = Vec::new();
        loop {
            let packet = self.read()?;
            if is_end(&packet) {
                return Ok(rows.join("\n"));
            }
            rows.push(row(&packet).ok_or(io::ErrorKind::InvalidData)?);
        }
    }

    fn write(&mut self, number: u8, body: &[u8]) -> io::Result<()> {
        let [a, b, c, _] = u32::try_from(body.len())
            .map_err(io::Error::other)?
            .to_le_bytes();
        self.0.write_all(&[&[a, b, c, number], body].concat())
    }

    /// A packet that is not an error.
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut head = [0; 4];
        self.0.read_exact(&mut head)?;
        let [a, b, c, _] = head;
        let length = usize::try_from(u32::from_le_bytes([a, b, c, 0])).map_err(io::Error::other)?;
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        if body.first() == Some(&0xff) {
            let number = u16::from_le_bytes([at(&body, 1), at(&body, 2)]);
            let text = String::from_utf8_lossy(body.get(3..).unwrap_or_default()).into_owned();
            return Err(io::Error::other(format!("{number}: {text}")));
        }
        Ok(body)
    }
}

fn at(bytes: &[u8], index: usize) -> u8 {
    bytes.get(index).copied().unwrap_or(0)
}

fn is_end(packet: &[u8]) -> bool {
    packet.first() == Some(&0xfe) && packet.len() < 9
}

fn row(mut packet: &[u8]) -> Option<String> {
    let mut fields = Vec::new();
    while let Some((first, rest)) = packet.split_first() {
        packet = rest;
        let length_bytes = match first {
            0xfb => {
                fields.push(String::new());
                continue;
            }
            0xfc => 2,
            0xfd => 3,
            0xfe => 8,
            _ => 0,
        };
        let mut length = [0; 8];
        length[..length_bytes].copy_from_slice(packet.split_off(..length_bytes)?);
        let length = match length_bytes {
            0 => usize::from(*first),
            _ => usize::try_from(u64::from_le_bytes(length)).ok()?,
        };
        fields.push(String::from_utf8_lossy(packet.split_off(..length)?).into_owned());
    }
    Some(fields.join("|"))
}

/// Protocol 4.1, with a database, and authentication plugins.
const CAPABILITIES: u32 = 0x0008_8208;

const UTF8MB4: u8 = 45;

const TIMEOUT: Duration = Duration::from_secs(30);
