//! The byte format of one session file, as the crate docs describe it: writing a frame, finding
//! the last one, and telling a torn end from damage. Pure: no file is opened here.

use std::io;
use std::ops::Range;

use session_core::{Record, SessionId, StoreError, Timestamp};

use crate::paths::{ID_HEX, id_hex};

/// Length of a frame's first line.
pub(crate) const HEADER: usize = 67;
/// Length of what follows the payload.
pub(crate) const FOOTER: usize = 19;
/// Longest record, encoded.
pub(crate) const RECORD_BYTES_MAX: usize = 64 << 20;
/// No file of ours grows longer: the dead part, the live record and its touches are each at most
/// one frame of the longest record.
pub(crate) const FILE_BYTES_MAX: u64 = 6 * RECORD_BYTES_MAX as u64;

const MAGIC: &[u8] = b"SKF";
const FORMAT: u8 = b'1';
/// Read at first: more than nearly every session with its touches.
const WINDOW: usize = 4096;
/// The smallest unit in which a disk loses what was not yet written.
const SECTOR: usize = 512;

/// A frame holding a whole record.
pub(crate) fn record_frame(id: &SessionId, json: &[u8]) -> Vec<u8> {
    frame(b'R', id, 0, json)
}

/// A frame that moves the times of the record frame which starts `back` bytes before it.
pub(crate) fn touch_frame(id: &SessionId, back: u64, touched: &Touched) -> Vec<u8> {
    frame(b'T', id, back, touched.encode().as_bytes())
}

fn frame(kind: u8, id: &SessionId, back: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len() + FOOTER);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[FORMAT, b' ', kind, b' ']);
    bytes.extend_from_slice(id_hex(id).as_bytes());
    let length = hex(payload.len() as u64);
    for number in [length, hex(back)] {
        bytes.push(b' ');
        bytes.extend_from_slice(&number);
    }
    bytes.push(b' ');
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&hex(checksum.into()));
    bytes.push(b'\n');
    bytes.extend_from_slice(payload);
    let checksum = crc32fast::hash(&bytes);
    bytes.push(b'\n');
    bytes.extend_from_slice(&hex(checksum.into()));
    bytes.push(b' ');
    bytes.extend_from_slice(&length);
    bytes.push(b'\n');
    bytes
}

/// The eight lower-case hex digits of a number below 2^32.
fn hex(number: u64) -> [u8; 8] {
    std::array::from_fn(|i| b"0123456789abcdef"[(number >> (28 - 4 * i)) as usize & 15])
}

fn parse_hex(digits: &[u8]) -> Option<usize> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | usize::from(value))
    })
}

/// What a touch frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Touched {
    pub(crate) accessed_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Touched {
    fn encode(&self) -> String {
        let accessed = self.accessed_at.as_unix_ms();
        let expires = self
            .expires_at
            .map_or("null".to_owned(), |at| at.as_unix_ms().to_string());
        format!("{{\"accessed\":{accessed:>15},\"expires\":{expires:>15}}}")
    }

    fn parse(payload: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(payload).ok()?;
        let (accessed, expires) = text
            .strip_prefix("{\"accessed\":")?
            .strip_suffix('}')?
            .split_once(",\"expires\":")?;
        let time = |text: &str| text.trim_start().parse().ok().map(Timestamp::from_unix_ms);
        Some(Self {
            accessed_at: time(accessed)?,
            expires_at: match expires.trim_start() {
                "null" => None,
                expires => Some(time(expires)?),
            },
        })
    }
}

/// The first line of a frame whose checksum is right.
struct Header {
    newer: bool,
    kind: u8,
    payload: usize,
    back: usize,
}

impl Header {
    fn read(bytes: &[u8], id: &SessionId) -> Option<Self> {
        let line = bytes.get(..HEADER)?;
        if !line.starts_with(MAGIC)
            || parse_hex(&line[58..66]) != Some(crc32fast::hash(&line[..58]) as usize)
            || line[7..7 + ID_HEX] != *id_hex(id).as_bytes()
        {
            return None;
        }
        Some(Self {
            newer: line[3] != FORMAT,
            kind: line[5],
            payload: parse_hex(&line[40..48])?,
            back: parse_hex(&line[49..57])?,
        })
    }

    fn frame_len(&self) -> usize {
        HEADER + self.payload + FOOTER
    }
}

/// Length of the frame that, by its footer, ends where `bytes` end.
fn len_by_footer(bytes: &[u8]) -> Option<usize> {
    let footer = bytes.last_chunk::<FOOTER>()?;
    if footer[0] != b'\n' || footer[9] != b' ' || footer[FOOTER - 1] != b'\n' {
        return None;
    }
    Some(HEADER + parse_hex(&footer[10..18])? + FOOTER)
}

/// The header of the frame that `bytes` are from first to last, if all its checksums are right.
fn whole_frame(bytes: &[u8], id: &SessionId) -> Option<Header> {
    let header = Header::read(bytes, id)?;
    let end = bytes.len().checked_sub(FOOTER)?;
    let right = !header.newer
        && len_by_footer(bytes) == Some(bytes.len())
        && header.frame_len() == bytes.len()
        && parse_hex(&bytes[end + 1..end + 9]) == Some(crc32fast::hash(&bytes[..end]) as usize);
    right.then_some(header)
}

/// The live record of a file: its last record frame and the touch after it.
pub(crate) struct Last {
    window: Vec<u8>,
    json: Range<usize>,
    /// The last touch frame's word.
    pub(crate) touched: Option<Touched>,
    /// Where the record's frame starts in the file.
    pub(crate) record_at: u64,
    /// Length of the record's frame.
    pub(crate) record_len: u64,
    /// Where the last frame ends; what follows is a torn end.
    pub(crate) end: u64,
}

impl Last {
    /// The record, with its touches.
    pub(crate) fn record(&self) -> Result<Record, StoreError> {
        let mut record = Record::decode(self.json())?;
        if let Some(touched) = &self.touched {
            record.accessed_at = record.accessed_at.max(touched.accessed_at);
        }
        Ok(record)
    }

    /// When the record expires, also if it is of a newer format that keeps this field where
    /// format 1 has it. `Err`: that cannot be read.
    pub(crate) fn expires_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let error = match self.record() {
            Ok(record) => return Ok(record.expires_at()),
            Err(error) => error,
        };
        if let Some(touched) = self.touched {
            return Ok(touched.expires_at);
        }
        let key = b",\"expires\":";
        let field = |range| self.json().get::<Range<usize>>(range);
        let digits = field(Record::EXPIRES_AT - key.len()..Record::EXPIRES_AT)
            .filter(|found| found == key)
            .and_then(|_| field(Record::EXPIRES_AT..Record::EXPIRES_AT + Record::TIME_WIDTH))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| digits.trim_start().parse().ok());
        match digits {
            Some(ms) => Ok(Some(Timestamp::from_unix_ms(ms))),
            None => Err(error),
        }
    }

    fn json(&self) -> &[u8] {
        &self.window[self.json.clone()]
    }

    /// Bytes of the record's frame and of the touch frames after it.
    pub(crate) fn span(&self) -> u64 {
        self.end - self.record_at
    }

    /// Bytes of touch frames after the record's.
    pub(crate) fn touch_bytes(&self) -> u64 {
        self.span() - self.record_len
    }
}

/// What a file's bytes are read from.
pub(crate) trait Bytes {
    /// The `len` bytes at `offset`, or fewer if the file has become shorter.
    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>>;
}

impl Bytes for [u8] {
    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let rest = self.get(offset as usize..).unwrap_or_default();
        Ok(rest[..len.min(rest.len())].to_vec())
    }
}

/// The live record, if a file of `len` bytes ends in a whole frame. Reads the end of the file
/// and no more of it than the live record and its touches.
pub(crate) fn read_end(
    file: &(impl Bytes + ?Sized),
    len: u64,
    id: &SessionId,
) -> io::Result<Option<Last>> {
    read_end_from(file, len, id, WINDOW)
}

/// As [`read_end`], reading `window` bytes at first.
pub(crate) fn read_end_from(
    file: &(impl Bytes + ?Sized),
    len: u64,
    id: &SessionId,
    window: usize,
) -> io::Result<Option<Last>> {
    if len > FILE_BYTES_MAX {
        return Ok(None);
    }
    let len = len as usize;
    let mut start = len.saturating_sub(window);
    loop {
        let window = file.read(start as u64, len - start)?;
        if window.len() != len - start {
            return Ok(None);
        }
        match last_in(window, start, len, id) {
            Seen::Last(last) => return Ok(Some(last)),
            Seen::From(earlier) if earlier < start => start = earlier,
            Seen::From(_) | Seen::Nothing => return Ok(None),
        }
    }
}

enum Seen {
    Last(Last),
    /// The window must begin here, at the latest.
    From(usize),
    Nothing,
}

/// The live record, if a whole frame ends at `end`; `window` holds the file from `start` to there.
fn last_in(window: Vec<u8>, start: usize, end: usize, id: &SessionId) -> Seen {
    let Some(len) = len_by_footer(&window) else {
        return Seen::Nothing;
    };
    let Some(frame_at) = end.checked_sub(len) else {
        return Seen::Nothing;
    };
    if frame_at < start {
        return Seen::From(frame_at);
    }
    let bytes = &window[frame_at - start..];
    let Some(header) = whole_frame(bytes, id) else {
        return Seen::Nothing;
    };
    let (mut record_at, mut record_len, mut touched) = (frame_at, len, None);
    if header.kind == b'T' {
        touched = Touched::parse(&bytes[HEADER..HEADER + header.payload]);
        record_at = match frame_at.checked_sub(header.back) {
            Some(at) if at < frame_at && touched.is_some() => at,
            _ => return Seen::Nothing,
        };
        if record_at < start {
            return Seen::From(record_at);
        }
        let before = &window[record_at - start..frame_at - start];
        let whole = Header::read(before, id)
            .and_then(|header| before.get(..header.frame_len()))
            .and_then(|frame| whole_frame(frame, id));
        match whole {
            Some(header) if header.kind == b'R' => record_len = header.frame_len(),
            _ => return Seen::Nothing,
        }
    } else if header.kind != b'R' {
        return Seen::Nothing;
    }
    let json_at = record_at - start + HEADER;
    Seen::Last(Last {
        json: json_at..json_at + record_len - HEADER - FOOTER,
        window,
        touched,
        record_at: record_at as u64,
        record_len: record_len as u64,
        end: end as u64,
    })
}

/// What a file is that does not end in a whole frame.
pub(crate) enum Recovered {
    /// No version was ever acknowledged.
    Absent,
    /// The last acknowledged version, followed by a torn end.
    Live(Last),
    /// Which version was the last cannot be known.
    Damaged,
    /// A newer program's frames.
    Newer,
}

/// Judges a file of which nobody is writing.
pub(crate) fn recover(bytes: &[u8], id: &SessionId) -> Recovered {
    let Some((live, end)) = last_whole(bytes, id) else {
        return Recovered::Damaged;
    };
    match (tail(&bytes[end..], end, id), live) {
        (Tail::Torn, Some(last)) => Recovered::Live(last),
        (Tail::Torn, None) => Recovered::Absent,
        (Tail::Newer, _) => Recovered::Newer,
        (Tail::Damaged, _) => Recovered::Damaged,
    }
}

/// The live record by the frame that ends last, and where that is; the start of the file if there
/// is none. `None`: a touch is whole and its record is not.
///
/// What a frame contains cannot pass for a frame, as the crate docs explain.
fn last_whole(bytes: &[u8], id: &SessionId) -> Option<(Option<Last>, usize)> {
    let mut end = bytes.len();
    while let Some(newline) = bytes[..end].iter().rposition(|b| *b == b'\n') {
        end = newline + 1;
        let whole = len_by_footer(&bytes[..end])
            .and_then(|len| end.checked_sub(len))
            .and_then(|at| whole_frame(&bytes[at..end], id));
        if whole.is_some() {
            return match last_in(bytes[..end].to_vec(), 0, end, id) {
                Seen::Last(last) => Some((Some(last), end)),
                Seen::From(_) | Seen::Nothing => None,
            };
        }
        end = newline;
    }
    Some((None, 0))
}

enum Tail {
    Torn,
    Damaged,
    Newer,
}

/// What follows the last whole frame, which ended at offset `at` of the file.
fn tail(bytes: &[u8], at: usize, id: &SessionId) -> Tail {
    let written = written(bytes, at);
    if let Some(header) = Header::read(written, id) {
        return match header.newer {
            true => Tail::Newer,
            false if written.len() < header.frame_len() => Tail::Torn,
            false => Tail::Damaged,
        };
    }
    let begins = |kind: u8| {
        let start = [MAGIC, &[FORMAT, b' ', kind, b' '], id_hex(id).as_bytes()].concat();
        let len = start.len().min(written.len());
        written[..len] == start[..len]
    };
    if written.len() < HEADER && (begins(b'R') || begins(b'T')) {
        Tail::Torn
    } else {
        Tail::Damaged
    }
}

/// Without the zeros in which a power cut leaves what was never written: frames hold no zeros,
/// and such a stretch begins where a sector does and goes to the end.
fn written(bytes: &[u8], at: usize) -> &[u8] {
    let len = bytes.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
    if len < bytes.len() && (len == 0 || (at + len).is_multiple_of(SECTOR)) {
        return &bytes[..len];
    }
    bytes
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
