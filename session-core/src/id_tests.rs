use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::keys::KeyRing;

fn keys() -> TokenKeys {
    KeyRing::new(b"0123456789abcdef0123456789abcdef")
        .unwrap()
        .token_keys("sid")
}

fn secret(token: &Token) -> &[u8] {
    &token.bytes[SessionId::BYTES..]
}

#[test]
fn i1_ids_secrets_and_nonces_do_not_repeat() {
    let tokens: Vec<Token> = (0..1_000).map(|_| Token::random().unwrap()).collect();
    let ids: HashSet<SessionId> = tokens.iter().map(Token::id).collect();
    let secrets: HashSet<&[u8]> = tokens.iter().map(secret).collect();
    let nonces: HashSet<u64> = (0..1_000).map(|_| fresh_nonce().unwrap()).collect();
    assert_eq!(
        (ids.len(), secrets.len(), nonces.len()),
        (1_000, 1_000, 1_000)
    );
}

#[test]
fn i1_debug_output_holds_no_secret() {
    let token = Token::random().unwrap();
    let secret = BASE64URL.encode(secret(&token));
    let held = Secret::random().unwrap();
    let shown = format!("{token:?} {held:?} {:?}", token.digest());
    assert!(!shown.contains(&secret));
    assert_eq!(
        shown,
        format!("Token({}..) Secret(..) Digest(..)", token.id())
    );
}

#[test]
fn i2_only_the_exact_length_and_alphabet_is_an_id() {
    let good = SessionId::from_bytes([0xff; 16]).to_string();
    assert!(good.parse::<SessionId>().is_ok());
    for bad in [
        "",
        "A",
        "AAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAA\n",
        "AAAAAAAAAAAAAAAAAAAAAA==",
        "AAAAAAAAAAAAAAAAAAAA+A",
        "AAAAAAAAAAAAAAAAAAAA/A",
        "../../../../etc/passwd",
        "AAAAAAAAAAAAAAAAAAAAAB",
    ] {
        assert!(bad.parse::<SessionId>().is_err(), "{bad:?}");
    }
}

#[test]
fn i3_a_setting_that_is_lost_fails_closed() {
    let token = Token::random().unwrap();
    let signed = token.expose(Some(&keys()));
    let plain = token.expose(None);
    assert!(Token::parse(signed.as_bytes(), None).is_err());
    assert!(Token::parse(plain.as_bytes(), Some(&keys())).is_err());
    assert!(Token::parse(&signed.as_bytes()[..Token::TEXT_LEN], Some(&keys())).is_err());
}

#[test]
fn i3_a_signed_token_with_any_character_changed_is_refused() {
    let text = Token::random().unwrap().expose(Some(&keys()));
    for at in 0..text.len() {
        for to in [b'A', b'B', b'.', b'-', b'=', b' ', 0xff] {
            let mut bytes = text.clone().into_bytes();
            if bytes[at] != to {
                bytes[at] = to;
                assert!(Token::parse(&bytes, Some(&keys())).is_err(), "{at} {to}");
            }
        }
    }
}

/// Without a MAC, which would hide a decoder that takes too much.
#[test]
fn i3_every_byte_at_every_place_is_judged_as_a_strict_decoder_judges_it() {
    for len in [SessionId::BYTES, Secret::BYTES, 3] {
        let text = BASE64URL.encode(&vec![0x5a; len]).into_bytes();
        let mut taken = 0;
        for place in 0..text.len() {
            for byte in 0..=u8::MAX {
                let mut tried = text.clone();
                tried[place] = byte;
                let mut bytes = vec![0; len];
                let own = decode_into(&tried, &mut bytes).ok().map(|()| bytes);
                assert_eq!(own, BASE64URL.decode(&tried).ok(), "{byte} at {place}");
                taken += usize::from(own.is_some());
            }
        }
        assert!(taken >= 64 * (text.len() - 1));
        for other in 0..2 * text.len() {
            let fits = decode_into(&vec![b'A'; other], &mut vec![0; len]).is_ok();
            assert_eq!(fits, other == text.len());
        }
    }
}

proptest! {
    #[test]
    fn tokens_round_trip(id: [u8; 16], secret: [u8; 32]) {
        let token = Token::new(SessionId(id), Secret(secret));
        for keys in [None, Some(keys())] {
            let text = token.expose(keys.as_ref());
            let (back, signed) = Token::parse(text.as_bytes(), keys.as_ref()).unwrap();
            let parts = (back.id().0, self::secret(&back), signed);
            prop_assert_eq!(parts, (id, &secret[..], Signed::Current));
            prop_assert_eq!(back.expose(keys.as_ref()), text);
        }
    }

    #[test]
    fn what_parses_is_the_one_spelling_of_its_token(text in "[A-Za-z0-9_-]{22}\\.[A-Za-z0-9_-]{43}") {
        if let Ok((token, _)) = Token::parse(text.as_bytes(), None) {
            prop_assert_eq!(token.expose(None), text);
        }
    }

    #[test]
    fn any_bytes_parse_or_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = Token::parse(&bytes, None);
        let _ = Token::parse(&bytes, Some(&keys()));
    }
}
