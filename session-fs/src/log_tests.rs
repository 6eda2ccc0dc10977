use super::*;
use session_core::{Clock, Expiry, StoreErrorKind, Token};
use std::time::Duration;

const ID: SessionId = SessionId::from_bytes([0x5a; 16]);

fn record(counter: u64, agent: &str) -> Record {
    let now = Clock::system().now();
    let expiry = Expiry::new(Some(Duration::from_secs(60)), None);
    let mut record = Record::new(Token::random().unwrap().digest(), now, expiry).unwrap();
    record.version = session_core::Version::from_parts(counter, counter);
    record.agent = Some(agent.into());
    record
}

fn frame_of(record: &Record) -> Vec<u8> {
    record_frame(&ID, record.encode().as_bytes())
}

fn touched(ms: i64) -> Touched {
    Touched {
        accessed_at: Timestamp::from_unix_ms(ms),
        expires_at: Some(Timestamp::from_unix_ms(ms + 60_000)),
    }
}

/// What a locked reader sees, as a word and a version.
fn judged(bytes: &[u8]) -> (&'static str, u64) {
    if let Some(last) = read_end(bytes, bytes.len() as u64, &ID).unwrap() {
        return ("live", last.record().unwrap().version.counter());
    }
    match recover(bytes, &ID) {
        Recovered::Absent => ("absent", 0),
        Recovered::Live(last) => ("live", last.record().unwrap().version.counter()),
        Recovered::Damaged => ("damaged", 0),
        Recovered::Newer => ("newer", 0),
    }
}

fn two_versions() -> (Vec<u8>, usize) {
    let first = frame_of(&record(1, "one"));
    let bytes = [first.clone(), frame_of(&record(2, "two"))].concat();
    assert!(!bytes.len().is_multiple_of(SECTOR));
    (bytes, first.len())
}

#[test]
fn a_frame_is_what_the_documentation_says() {
    let frame = String::from_utf8(record_frame(&ID, b"{}")).unwrap();
    let id = "5a".repeat(16);
    let start = format!("SKF1 R {id} 00000002 00000000 ");
    let header = format!("{start}{:08x}\n{{}}", crc32fast::hash(start.as_bytes()));
    let footer = format!("\n{:08x} 00000002\n", crc32fast::hash(header.as_bytes()));
    assert_eq!(frame, header + &footer);
    assert_eq!(frame.len(), HEADER + 2 + FOOTER);
}

#[test]
fn a_truncated_file_holds_the_last_version_that_is_whole() {
    let (bytes, first) = two_versions();
    for len in 0..=bytes.len() {
        let expected = match len {
            len if len < first => ("absent", 0),
            len if len < bytes.len() => ("live", 1),
            _ => ("live", 2),
        };
        assert_eq!(judged(&bytes[..len]), expected, "cut at {len}");
    }
}

#[test]
fn a_flipped_bit_never_brings_an_older_version_back() {
    let (bytes, first) = two_versions();
    for at in 0..bytes.len() {
        for mask in (0..8).map(|bit| 1 << bit).chain([bytes[at], 0xff]) {
            let mut flipped = bytes.clone();
            flipped[at] ^= mask;
            let expected = if at < first {
                ("live", 2)
            } else {
                ("damaged", 0)
            };
            assert_eq!(judged(&flipped), expected, "byte {at} ^ {mask:#x}");
        }
    }
}

#[test]
fn a_flipped_bit_in_a_touched_record_or_its_touch_is_damage() {
    let first = frame_of(&record(1, "one"));
    let second = frame_of(&record(2, "two"));
    let superseded = first.len();
    let record_end = superseded + second.len();
    let touch = touch_frame(&ID, second.len() as u64, &touched(5));
    let again = touch_frame(&ID, (second.len() + touch.len()) as u64, &touched(6));
    let bytes = [first, second, touch.clone(), again].concat();
    let last_touch = record_end + touch.len();
    assert!(!bytes.len().is_multiple_of(SECTOR));
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        let counts = (superseded..record_end).contains(&at) || at >= last_touch;
        let expected = if counts { ("damaged", 0) } else { ("live", 2) };
        assert_eq!(judged(&flipped), expected, "byte {at}");
    }
}

#[test]
fn a_touch_moves_the_time_and_never_back() {
    let record = record(1, "one");
    let frame = frame_of(&record);
    let later = record.accessed_at.after(Duration::from_secs(9));
    for (ms, expected) in [(later.as_unix_ms(), later), (5, record.accessed_at)] {
        let touch = touch_frame(&ID, frame.len() as u64, &touched(ms));
        let bytes = [frame.clone(), touch].concat();
        let last = read_end(&*bytes, bytes.len() as u64, &ID).unwrap().unwrap();
        assert_eq!(last.record().unwrap().accessed_at, expected);
        assert_eq!(last.record().unwrap().version, record.version);
    }
}

#[test]
fn times_of_a_touch_survive_at_their_extremes() {
    for accessed in [i64::MIN, -1, 0, i64::MAX] {
        for expires_at in [None, Some(Timestamp::from_unix_ms(accessed))] {
            let touched = Touched {
                accessed_at: Timestamp::from_unix_ms(accessed),
                expires_at,
            };
            assert_eq!(Touched::parse(touched.encode().as_bytes()), Some(touched));
        }
    }
}

#[test]
fn large_records_and_long_tails_of_touches_are_found_from_the_end() {
    let large = "x".repeat(3 * WINDOW);
    let mut bytes = [frame_of(&record(1, &large)), frame_of(&record(2, &large))].concat();
    let at = bytes.len() / 2;
    assert_eq!(judged(&bytes), ("live", 2));
    for ms in 0..100 {
        bytes.extend(touch_frame(&ID, (bytes.len() - at) as u64, &touched(ms)));
    }
    let last = read_end(&*bytes, bytes.len() as u64, &ID).unwrap().unwrap();
    assert_eq!((last.record_at, last.end), (at as u64, bytes.len() as u64));
    assert_eq!(last.touched, Some(touched(99)));
}

#[test]
fn a_file_of_another_id_is_no_record_of_this_one() {
    let other = SessionId::from_bytes([1; 16]);
    let bytes = record_frame(&other, record(1, "one").encode().as_bytes());
    assert_eq!(judged(&bytes), ("damaged", 0));
}

#[test]
fn what_a_power_cut_left_unwritten_is_a_torn_end() {
    let first = frame_of(&record(1, "one"));
    let large = frame_of(&record(2, &"x".repeat(2000)));
    let bytes = [first.clone(), large].concat();
    let sectors = (first.len() / SECTOR + 1)..bytes.len() / SECTOR;
    for written in sectors.map(|sector| sector * SECTOR).chain([first.len()]) {
        let mut cut = bytes.clone();
        cut[written..].fill(0);
        assert_eq!(judged(&cut), ("live", 1), "written up to {written}");
        cut[written] = b'x';
        assert_eq!(judged(&cut).0, "damaged", "not zero from {written}");
    }
    assert_eq!(judged(&[0; 100]), ("absent", 0));
}

#[test]
fn damage_before_a_torn_end_is_not_taken_for_part_of_it() {
    let (mut bytes, first) = two_versions();
    let third = frame_of(&record(3, "three"));
    bytes[first + HEADER + 5] ^= 1;
    bytes.extend(&third[..third.len() / 2]);
    assert_eq!(judged(&bytes), ("damaged", 0));
}

#[test]
fn a_frame_of_a_newer_format_is_told_apart_from_damage() {
    let mut frame = frame_of(&record(1, "one"));
    frame[3] = b'2';
    let checksum = hex(crc32fast::hash(&frame[..58]).into());
    frame[58..66].copy_from_slice(&checksum);
    assert_eq!(judged(&frame), ("newer", 0));
    let (bytes, _) = two_versions();
    assert_eq!(judged(&[bytes, frame].concat()), ("newer", 0));
}

#[test]
fn text_in_the_data_that_looks_like_a_frame_is_not_one() {
    let forged = String::from_utf8(frame_of(&record(9, "forged"))).unwrap();
    let first = frame_of(&record(1, "one"));
    let second = frame_of(&record(2, &forged));
    let bytes = [first.clone(), second].concat();
    for len in first.len()..bytes.len() {
        assert_eq!(judged(&bytes[..len]), ("live", 1), "cut at {len}");
    }
}

#[test]
fn the_expiry_of_a_newer_record_is_read_where_format_1_has_it() {
    let record = record(1, "one");
    let newer = record.encode().replace("\"format\":1", "\"format\":2");
    let frame = record_frame(&ID, newer.as_bytes());
    let last = read_end(&*frame, frame.len() as u64, &ID).unwrap().unwrap();
    let kind = last.record().unwrap_err().kind();
    assert_eq!(kind, StoreErrorKind::NewerFormat);
    assert_eq!(last.expires_at().unwrap(), record.expires_at());
    let touch = touch_frame(&ID, frame.len() as u64, &touched(7));
    let bytes = [frame, touch].concat();
    let last = read_end(&*bytes, bytes.len() as u64, &ID).unwrap().unwrap();
    assert_eq!(last.expires_at().unwrap(), touched(7).expires_at);
    let frame = record_frame(&ID, b"{\"format\":2}");
    let last = read_end(&*frame, frame.len() as u64, &ID).unwrap().unwrap();
    assert!(last.expires_at().is_err());
}
