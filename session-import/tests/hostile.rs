//! No input crashes the reading of old sessions, or takes more than its length allows.

use proptest::prelude::*;
use session_import::{
    BYTES_MAX, DEPTH_MAX, ImportErrorKind, Imported, Reason, SKIPPED_MAX, beaker, web_py,
};

/// `{'bomb': …, 'user': 'ada'}` in protocol 2, with the pickle's code for the bomb.
fn beside_ada(bomb: &[u8]) -> Vec<u8> {
    let mut pickle = b"\x80\x02}(X\x04\0\0\0bomb".to_vec();
    pickle.extend(bomb);
    pickle.extend(b"X\x04\0\0\0userX\x03\0\0\0adau.");
    pickle
}

fn decode(pickle: &[u8]) -> Result<Imported, session_import::ImportError> {
    web_py::decode(data_encoding::BASE64.encode(pickle).as_bytes())
}

/// The bomb stays behind for this reason, and Ada comes over.
fn assert_left_behind(bomb: &[u8], reason: Reason) {
    let old = decode(&beside_ada(bomb)).unwrap();
    assert_eq!(old.data.as_str(), r#"{"user":"ada"}"#);
    assert_eq!(old.skipped.len(), 1, "{:?}", old.skipped);
    assert_eq!(old.skipped[0].key.as_deref(), Some("bomb"));
    assert_eq!(old.skipped[0].reason, reason);
}

fn object(name: &str) -> Reason {
    Reason::Object(Some(name.to_owned()))
}

#[test]
fn lists_in_lists_without_end_stay_behind() {
    for depth in [DEPTH_MAX + 1, 100_000] {
        let mut bomb = vec![b']'; depth];
        bomb.extend(vec![b'a'; depth - 1]);
        assert_left_behind(&bomb, Reason::TooDeep);
    }
    // In tuples, and in dictionaries.
    let mut bomb = vec![b')'];
    bomb.extend(vec![0x85; 100_000]);
    assert_left_behind(&bomb, Reason::TooDeep);
    let mut bomb = b"}K\x01".repeat(100_000);
    bomb.extend(b"N");
    bomb.extend(vec![b's'; 100_000]);
    assert_left_behind(&bomb, Reason::TooDeep);
}

#[test]
fn as_deep_as_is_allowed_comes_over() {
    let mut deep = vec![b']'; DEPTH_MAX];
    deep.extend(vec![b'a'; DEPTH_MAX - 1]);
    let old = decode(&beside_ada(&deep)).unwrap();
    let json = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
    assert_eq!(old.data.raw("bomb"), Some(&*json));
    old.get::<serde_json::Value>("bomb").unwrap();
}

#[test]
fn what_holds_itself_stays_behind() {
    assert_left_behind(b"]q\x01h\x01a", Reason::Cyclic);
    assert_left_behind(b"}q\x01(K\x01h\x01u", Reason::Cyclic);
    // Two lists that hold each other, met from the inside.
    assert_left_behind(b"]q\x01]q\x02h\x01aah\x02a", Reason::Cyclic);
    // A dictionary that is its own key.
    assert_left_behind(b"}q\x01h\x01K\x01s", Reason::Key);
}

#[test]
fn a_session_that_holds_itself_still_brings_its_values() {
    let old = decode(b"\x80\x02}q\x01(U\x04selfh\x01U\x04userU\x03adau.").unwrap();
    assert_eq!(old.data.as_str(), r#"{"user":"ada"}"#);
    assert_eq!(old.skipped[0].reason, Reason::Cyclic);
}

#[test]
fn the_same_thing_twice_thirty_times_over_stays_behind() {
    // By the memo: each list holds the one before it twice.
    let mut bomb = b"]q\0".to_vec();
    for level in 1..=30 {
        bomb.extend([
            b']',
            b'q',
            level,
            b'h',
            level - 1,
            b'a',
            b'h',
            level - 1,
            b'a',
            b'0',
        ]);
    }
    bomb.extend([b'0', b'h', 30]);
    assert_left_behind(&bomb, Reason::TooLarge);
    // By doubling the top of the stack.
    let mut bomb = b"K\x01".to_vec();
    bomb.extend(b"2\x86".repeat(64));
    assert_left_behind(&bomb, Reason::TooLarge);
    // A long text, many times.
    let mut bomb = b"(X\0\0\x04\0".to_vec();
    bomb.extend(vec![b'x'; 0x4_0000]);
    bomb.extend(b"2222l");
    assert_left_behind(&bomb, Reason::TooLarge);
}

#[test]
fn a_long_text_used_again_and_again_is_looked_at_once() {
    // Each would take hours if the text were read, or copied, for each use.
    let long = |count: u32| {
        let mut text = b"X".to_vec();
        text.extend(count.to_le_bytes());
        text.extend(vec![b'x'; count as usize]);
        text
    };
    let uses = 50_000;
    let mut keys = long(500_000);
    keys.extend(b"q\x010(");
    // As the key of many dictionaries.
    keys.extend(b"}h\x01Ns".repeat(uses));
    keys.push(b'l');
    assert_left_behind(&keys, Reason::TooLarge);
    // As the text of bytes, and as a class's name.
    let mut bytes = b"(c_codecs\nencode\nq\x02".to_vec();
    bytes.extend(long(500_000));
    bytes.extend(b"U\x06latin1\x86q\x03");
    bytes.extend(b"h\x02h\x03R".repeat(uses));
    bytes.push(b'l');
    assert_left_behind(&bytes, object("_codecs.encode"));
    let mut names = b"(".to_vec();
    names.extend(long(500_000));
    names.extend(b"q\x01");
    names.extend(b"h\x01h\x01\x93".repeat(uses));
    names.push(b'l');
    let short = "x".repeat(100);
    assert_left_behind(&names, object(&format!("{short}.{short}")));
    // A list as the argument of many sets.
    let mut sets = b"(c__builtin__\nset\nq\x02(".to_vec();
    sets.extend(b"N".repeat(uses));
    sets.extend(b"l\x85q\x03");
    sets.extend(b"h\x02h\x03R".repeat(uses));
    sets.push(b'l');
    assert_left_behind(&sets, object("__builtin__.set"));
}

/// Three bytes of the pickle name an entry whose report has 400.
#[test]
fn the_same_key_again_and_again_is_reported_a_thousand_times() {
    let mut pickle = b"\x80\x02}(X".to_vec();
    let key = "\u{1f36a}".repeat(100);
    pickle.extend((key.len() as u32).to_le_bytes());
    pickle.extend(key.as_bytes());
    pickle.extend(b"q\x01N");
    let more = (BYTES_MAX - pickle.len() - 2) / 3;
    pickle.extend(b"h\x01N".repeat(more));
    pickle.extend(b"u.");
    let old = decode(&pickle).unwrap();
    assert_eq!(old.data.len(), 1);
    assert_eq!(old.skipped.len(), SKIPPED_MAX);
    assert_eq!(old.skipped_more, more - SKIPPED_MAX);
    assert_eq!(old.skipped[999].key.as_deref(), Some(&*key));
    assert_eq!(old.skipped[999].reason, Reason::SameKey);
}

#[test]
fn lengths_of_what_is_not_there_reserve_nothing() {
    let most = [0, 0, 0, 0, 0, 0, 0, 0x10];
    for (code, width) in [
        (0x8e, 8),
        (0x8d, 8),
        (0x96, 8),
        (b'B', 4),
        (b'X', 4),
        (b'T', 4),
        (0x8b, 4),
    ] {
        for length in [&most[8 - width..], &[0xff; 8][..width]] {
            let pickle = [b"\x80\x04", &[code][..], length, b"abc."].concat();
            let error = decode(&pickle).unwrap_err();
            assert_eq!(error.kind(), ImportErrorKind::Corrupt, "{pickle:x?}");
        }
    }
    // A frame longer than the pickle, and a memo far out.
    let old = decode(b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff}r\xff\xff\xff\xff.").unwrap();
    assert!(old.data.is_empty());
    decode(b"}p18446744073709551615\n.").unwrap();
    decode(b"}p18446744073709551616\n.").unwrap_err();
}

#[test]
fn nothing_is_called() {
    for (bomb, name) in [
        (&b"cos\nsystem\n(S'touch /tmp/called'\ntR"[..], "os.system"),
        (b"cos\nsystem\nX\x02\0\0\0id\x85R", "os.system"),
        (b"\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R", "os.system"),
        (b"(S'id'\nios\nsystem\n", "os.system"),
        (b"(cos\nsystem\nS'id'\no", "os.system"),
        (b"cshop\nBasket\n)\x81}U\x01aK\x01sb", "shop.Basket"),
        (b"cshop\nBasket\n)}\x92", "shop.Basket"),
        (b"cos\nsystem\n", "os.system"),
        (b"c__builtin__\neval\n(S'1'\ntR", "__builtin__.eval"),
        (
            b"ccopy_reg\n_reconstructor\n(cshop\nBasket\nc__builtin__\nobject\nNtR",
            "shop.Basket",
        ),
        // Known names with arguments that they have no meaning for.
        (b"c__builtin__\nbytes\n(C\x01xK\x05tR", "__builtin__.bytes"),
        (b"c__builtin__\nset\n(]]tR", "__builtin__.set"),
        (b"c__builtin__\nset\n(S'ab'\ntR", "__builtin__.set"),
        (b"c__builtin__\nbytes\n(K\x05tR", "__builtin__.bytes"),
        (
            b"c_codecs\nencode\n(X\x01\0\0\0xU\x04utf8tR",
            "_codecs.encode",
        ),
    ] {
        assert_left_behind(bomb, object(name));
        // Inside of something else, too.
        assert_left_behind(&[b"(K\x01", bomb, b"l"].concat(), object(name));
    }
    // What is called is no class, and the state of an object.
    assert_left_behind(b"K\x01)R", Reason::Object(None));
    assert_left_behind(b"}}U\x01aK\x01sb", Reason::Object(None));
    for external in [
        &b"Pid\n"[..],
        b"K\x01Q",
        b"\x82\x01",
        b"\x83\x01\0",
        b"\x84\x01\0\0\0",
        b"\x97",
    ] {
        assert_left_behind(external, Reason::External);
    }
}

#[test]
fn a_name_cannot_forge_a_line_of_a_log() {
    let old = decode(b"}X\x03\0\0\0a\nb\x8c\x03x\ny\x8c\x03\x1b[m\x93s.").unwrap();
    assert_eq!(
        old.skipped[0].to_string(),
        r#""a\nb" was left behind: it holds an object of x\ny.\u{1b}[m"#
    );
}

#[test]
fn what_is_below_a_mark_is_out_of_reach() {
    for bad in [
        &b"}(s."[..],
        b"}K\x01(K\x02s.",
        b"](a.",
        b"K\x01(\x85.",
        b"(.",
        b"}(0(.",
        b"}1.",
        b"l.",
        b"(K\x01d.",
        b"}(K\x01u.",
        b"}h\0.",
        b"}j\0\0\0\0.",
        b"}g9\n.",
        b"q\0.",
        b"\x94.",
        b"0.",
        b"2.",
        b"R.",
        b"K\x01K\x02a.",
        b"K\x01K\x02K\x03s.",
        b"Ixyz\n.",
        b"Fxyz\n.",
        b"Sxyz\n.",
        b"V\\u12\n.",
        b"\xff.",
    ] {
        assert_eq!(
            decode(bad).unwrap_err().kind(),
            ImportErrorKind::Corrupt,
            "{bad:?}"
        );
    }
    // A mark with nothing above it is popped itself.
    assert!(decode(b"}(0.").unwrap().data.is_empty());
}

#[test]
fn what_is_no_session_is_refused() {
    for (bad, why) in [
        (&b""[..], "cannot be followed beyond byte 0"),
        (b"].", "it is not a dictionary"),
        (b"N.", "it is not a dictionary"),
    ] {
        let error = decode(bad).unwrap_err();
        assert_eq!(error.kind(), ImportErrorKind::Corrupt);
        assert!(error.to_string().contains(why), "{error}");
    }
    for bad in [&b"gAR9"[..2], b"gAR9lC4", b"***", b"\xff\xff"] {
        assert_eq!(
            web_py::decode(bad).unwrap_err().kind(),
            ImportErrorKind::Corrupt
        );
        assert_eq!(
            beaker::decode(bad).unwrap_err().kind(),
            ImportErrorKind::Corrupt
        );
    }
    for bad in [
        &b"N."[..],
        b"}U\x07sessionK\x01s.",
        b"}U\x07sessionU\x03abcs.",
    ] {
        let error = beaker::decode_container(bad).unwrap_err();
        assert_eq!(error.kind(), ImportErrorKind::Corrupt, "{bad:?}");
    }
    assert!(beaker::decode_container(b"}.").unwrap().data.is_empty());
}

#[test]
fn what_is_too_long_is_refused_before_it_is_read() {
    let long = vec![b'N'; BYTES_MAX + 1];
    assert_eq!(decode(&long).unwrap_err().kind(), ImportErrorKind::TooLarge);
    // Text that is longer still is not decoded, so it matters not that it is no base64.
    let error = web_py::decode(&[b'*'; 2 * BYTES_MAX]).unwrap_err();
    assert_eq!(error.kind(), ImportErrorKind::TooLarge);
    let kind = |result: Result<Imported, session_import::ImportError>| result.unwrap_err().kind();
    assert_eq!(
        kind(beaker::decode_container(&long)),
        ImportErrorKind::TooLarge
    );
    assert_eq!(kind(web_py::decode_shelf(&long)), ImportErrorKind::TooLarge);
    let json = format!("{{\"a\": \"{}\"}}", "x".repeat(BYTES_MAX));
    assert_eq!(
        kind(beaker::decode(json.as_bytes())),
        ImportErrorKind::TooLarge
    );
    // A compressed one that grows is not decompressed to its end.
    let zeros = miniz_oxide::deflate::compress_to_vec_zlib(&vec![b' '; 64 << 20], 6);
    let text = data_encoding::BASE64.encode(&zeros);
    assert!(text.len() < BYTES_MAX);
    let error = beaker::decode(text.as_bytes()).unwrap_err();
    assert!(error.to_string().starts_with("decompressing "), "{error}");
    assert_eq!(
        kind(beaker::decode(text.as_bytes())),
        ImportErrorKind::TooLarge
    );
}

#[test]
fn what_is_too_long_as_json_stays_behind_and_the_rest_does_not() {
    // A control character takes six bytes in JSON: all that is within the limit as pickle is not
    // as JSON. Of what fits each by itself, as much comes over as fits together.
    let mut pickle = b"}(".to_vec();
    for key in b"abcd" {
        pickle.extend([b'U', 1, *key]);
        pickle.extend(b"X\0\0\x01\0");
        pickle.extend(vec![1; 0x1_0000]);
    }
    pickle.extend(b"U\x04userU\x03adau.");
    let old = decode(&pickle).unwrap();
    let keys: Vec<_> = old
        .data
        .entries()
        .map(|(key, _)| key.into_owned())
        .collect();
    assert_eq!(keys, ["a", "b", "user"]);
    assert!(old.data.as_str().len() <= BYTES_MAX);
    assert_eq!(old.skipped[0].reason, Reason::TooLarge);
}

/// All that the real libraries wrote, without base64.
fn vectors() -> Vec<Vec<u8>> {
    let mut left = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")];
    let mut vectors = Vec::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_none_or(|end| end == "cache") {
            let mut bytes = std::fs::read(path).unwrap();
            let packed: Vec<u8> = bytes.iter().copied().filter(|b| *b != b'\n').collect();
            if let Ok(pickle) = data_encoding::BASE64.decode(&packed) {
                bytes = pickle;
            }
            if READ.iter().any(|read| read(&bytes).is_ok()) {
                vectors.push(bytes);
            }
        }
    }
    assert_eq!(vectors.len(), 17);
    vectors
}

type Read = fn(&[u8]) -> Result<Imported, session_import::ImportError>;

/// Every way to read bytes.
const READ: [Read; 6] = [
    web_py::decode,
    |bytes| web_py::decode(data_encoding::BASE64.encode(bytes).as_bytes()),
    web_py::decode_shelf,
    beaker::decode,
    |bytes| beaker::decode(data_encoding::BASE64.encode(bytes).as_bytes()),
    beaker::decode_container,
];

/// What comes out, whatever goes in, is one object of JSON.
fn read_all(bytes: &[u8]) {
    for old in READ.iter().flat_map(|read| read(bytes)) {
        serde_json::from_str::<serde_json::Value>(old.data.as_str()).unwrap();
        assert!(old.data.as_str().len() <= BYTES_MAX);
    }
}

#[test]
fn a_record_cut_off_anywhere_is_refused() {
    for vector in vectors() {
        let mut readers = READ.iter().rev();
        let read = readers.find(|read| read(&vector).is_ok()).unwrap();
        for end in 0..vector.len() {
            let error = read(&vector[..end]).expect_err("it ends early");
            assert_eq!(error.kind(), ImportErrorKind::Corrupt);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        read_all(&bytes);
    }

    #[test]
    fn any_opcodes_are_read_or_refused(
        codes in prop::collection::vec(
            prop::sample::select(&b"(.012NK\x01]}ael\x85\x86\x87tdsuq\x00h\x00\x94R\x81bo\x93U\x01x)\x8f\x90\x91"[..]),
            0..64,
        ),
    ) {
        read_all(&[b"}", &codes[..], b"."].concat());
    }

    #[test]
    fn any_change_of_a_record_is_read_or_refused(
        (vector, changes) in prop::sample::select(vectors()).prop_flat_map(|vector| {
            let changes = prop::collection::vec((0..vector.len(), any::<u8>()), 1..8);
            (Just(vector), changes)
        }),
    ) {
        let mut vector = vector;
        for (at, byte) in changes {
            vector[at] = byte;
        }
        read_all(&vector);
    }
}
