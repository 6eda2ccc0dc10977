//! No secret, MAC, digest or value of a session shows in an event, a log line, a span, a metric, a
//! `Debug` output or an error's text (rule I1): everything is listened to while everything that is
//! told happens, and the very bytes are looked for in it.

mod app;
mod heard;

use std::collections::BTreeSet;
use std::error::Error as _;
use std::time::Duration;

use session_core::conformance::Operation;
use session_core::http::IpPrefix;
use session_core::{ErrorKind, EventKind, OnTooMany, Owner, SessionManager, StoreErrorKind, Token};

use crate::app::{App, HOME, VALUES};
use crate::heard::Heard;

#[tokio::test]
async fn i1_nothing_private_shows_in_whatever_can_be_heard() {
    let hour = Duration::from_secs(3_600);
    let mut strict = None;
    let mut app = App::new(
        |config| {
            strict = Some(config.clone().owner_sessions_max(1, OnTooMany::Refuse));
            config
                .ignore_change_ip(false)
                .ip_prefix(IpPrefix::new(32, 64).unwrap())
                .renew_every(hour)
                .max_size(1_000)
                .creation_cap(20, hour)
                .owner_sessions_max(1, OnTooMany::EndOldest)
        },
        SessionManager::new,
    );
    let _listening = tracing::subscriber::set_default(app.heard.clone());
    let _measuring = metrics::set_default_local_recorder(&app.heard);
    let (ada, manager) = (Owner::new("ada").unwrap(), app.manager.clone());
    let id = |cookie: &str| cookie.split('.').next().unwrap().parse().unwrap();

    // A life: begun, signed in, renewed, used, ended.
    let first = app.begin(None).await;
    let record = app.spy.inner().load(&id(&first)).await.unwrap().unwrap();
    app.hide_text(record.own.as_str(), "the CSRF seed and flashes");
    app.heard.add(format_args!("{:?}", record.secret));
    let second = app
        .ask(&[&first], HOME, async |session| {
            session.login(Owner::new("ada")?);
            Ok(())
        })
        .await
        .unwrap();
    app.look(&first).await;
    app.ask(&[&first], HOME, async |session| {
        session.insert("late", VALUES[0])?;
        session.save().await
    })
    .await;
    let third = app
        .ask(&[&second], HOME, async |session| {
            session.renew();
            Ok(())
        })
        .await
        .unwrap();
    app.hands.advance(hour);
    app.look(&second).await;
    let fourth = app.ask(&[&third], HOME, async |_| Ok(())).await.unwrap();

    // What opens nothing.
    app.ask(&[&fourth], "203.0.113.9", async |_| Ok(())).await;
    let planted = app.begin(None).await;
    app.ask(&[&planted, &fourth], HOME, async |_| Ok(())).await;
    let foreign = Token::random().unwrap().expose(None);
    let foreign = format!("{foreign}.b0123456789abcdefABCDEg");
    app.hide_text(foreign.split('.').next().unwrap(), "a foreign id");
    app.hide_token(&foreign);
    app.look(&foreign).await;
    app.look("correct horse battery staple").await;
    app.hide_text("battery", "what a client sent");

    // What other sites send.
    let foreign = Token::random().unwrap().expose(None);
    app.hide_text(&foreign, "a token that a client sent");
    let own = app.csrf_token(&fourth).await;
    let elsewhere = ("origin", "https://elsewhere.example");
    app.refused(&fourth, elsewhere, &format!("csrf_token={own}"))
        .await;
    app.refused(&fourth, ("x-csrf-token", &foreign), "").await;
    let with_foreign = format!("note={}&csrf_token={foreign}", VALUES[0]);
    app.refused(&fourth, ("accept", "*/*"), &with_foreign).await;

    // What fails.
    app.ask(&[&fourth], HOME, async |session| {
        for error in [
            session.get::<u64>("name").unwrap_err(),
            session.get::<Vec<u64>>("list").unwrap_err(),
            session.get::<bool>("list").unwrap_err(),
            session.append("name", VALUES[1]).unwrap_err(),
            session
                .update("name", |n: Option<u64>| n.unwrap_or(0))
                .unwrap_err(),
            session.verify_csrf("lorem").unwrap_err(),
        ] {
            app.heard.error(&error);
        }
        session.take_flashes().await?;
        session.insert("large", VALUES[0].repeat(200))?;
        session.save().await
    })
    .await;
    for kind in [
        StoreErrorKind::Corrupt,
        StoreErrorKind::NewerFormat,
        StoreErrorKind::Unavailable,
    ] {
        app.fail(Operation::Load, kind, &fourth).await;
        app.fail(Operation::Update, kind, &fourth).await;
    }

    // Ends of all sorts.
    app.ask(&[&fourth], HOME, async |session| {
        manager.revoke_of(&ada, &id(&fourth)).await?;
        session.insert("late", VALUES[0])?;
        let pending = session.prepare_save().await?.unwrap();
        app.heard.add(format_args!("{pending:?}"));
        pending.abort();
        session.save().await
    })
    .await;
    app.look(&fourth).await;
    let one = app.begin(Some("ada")).await;
    manager.revoke(&id(&one)).await.unwrap();
    app.begin(Some("ada")).await;
    assert_eq!(manager.revoke_owner(&ada, None).await.unwrap(), 1);
    for logout in [true, false] {
        let cookie = app.begin(Some("ada")).await;
        let ended = app
            .ask(&[&cookie], HOME, async |session| {
                match logout {
                    true => session.logout(),
                    false => session.destroy(),
                }
                Ok(())
            })
            .await;
        assert_eq!(ended, None);
    }
    app.begin(Some("ada")).await;
    app.begin(Some("ada")).await;
    assert_eq!(manager.revoke_all().await.unwrap(), 3, "two are visitors");
    app.begin(Some("ada")).await;
    app.manager = SessionManager::new(app.spy.clone(), strict.unwrap().build().unwrap());
    let refused = app.ask(&[], HOME, async |session| {
        session.insert("name", VALUES[0])?;
        session.login(ada.clone());
        Ok(())
    });
    assert_eq!(refused.await, None);
    app.manager = manager.clone();
    let expired = app.begin(None).await;
    app.hands.advance(24 * hour);
    app.look(&expired).await;
    for _ in 0..25 {
        app.ask(&[], HOME, async |session| {
            session.insert("name", VALUES[0])?;
            session.save().await
        })
        .await;
    }
    assert!(manager.sweep().await.is_ok());

    let _ = session_core::Error::application("the handler's own").answer();
    let all: BTreeSet<_> = EventKind::all().into_iter().map(app::name).collect();
    assert_eq!(*app.kinds.lock().unwrap(), all, "each has happened");
    for heard in [
        "span session.load",
        "noted outcome=\"live\"",
        "noted outcome=\"superseded\"",
        "span session.save",
        "noted outcome=\"done\"",
        "noted outcome=\"failed\"",
        "noted error=Gone",
        "line INFO message=logged in event=\"logged_in\" session=",
        "line ERROR message=the record is kept for inspection",
        // An outage is not only answered, and neither is a fault of the handler's.
        "line DEBUG message=a request was refused before its handler method=\"POST\" status=403",
        "line WARN message=the store failed operation=\"loading the session\" error=",
        "line ERROR message=the request failed error=",
        "metric Key(session_events_total, [event = rejected, why = gone])",
        "metric Key(session_swept_total)",
    ] {
        app.assert_heard(heard);
    }
    app.assert_nothing_private_was_heard();
}

#[tokio::test]
async fn i1_nothing_private_of_a_sealed_session_shows_either() {
    let app = App::new(
        |config| config.creation_cap(1, Duration::from_secs(60)),
        |_, config| SessionManager::sealed(config).unwrap(),
    );
    let _listening = tracing::subscriber::set_default(app.heard.clone());
    let _measuring = metrics::set_default_local_recorder(&app.heard);
    let cookie = app.begin(Some("ada")).await;
    app.ask(&[], HOME, async |session| session.insert("a", VALUES[0]))
        .await;
    let renewed = app
        .ask(&[&cookie], HOME, async |session| {
            session.renew();
            app.heard.error(&session.get::<u64>("name").unwrap_err());
            Ok(())
        })
        .await
        .unwrap();
    app.look(&renewed[..renewed.len() - 2]).await;
    let ended = app
        .ask(&[&renewed], HOME, async |session| {
            session.logout();
            Ok(())
        })
        .await;
    assert_eq!(ended, None);
    app.hands.advance(Duration::from_secs(24 * 3_600));
    app.look(&renewed).await;
    let kinds: Vec<_> = app.kinds.lock().unwrap().iter().cloned().collect();
    let expected = [
        "created",
        "expired",
        "logged_in",
        "logged_out",
        "rejected creation_cap",
        "rejected foreign",
        "renewed asked",
    ];
    assert_eq!(kinds, expected);
    app.assert_nothing_private_was_heard();
}

#[tokio::test]
async fn i1_what_cannot_be_decoded_is_not_quoted() {
    let heard = Heard::default();
    for json in [
        r#""lorem ipsum""#,
        r#"["lorem ipsum"]"#,
        r#"{"a":"lorem ipsum""#,
        r#"{"a":lorem ipsum}"#,
    ] {
        let error = session_core::Data::parse(json).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        heard.error(&error);
    }
    let record = session_core::Record::new(
        Token::random().unwrap().digest(),
        session_core::Timestamp::from_unix_ms(0),
        session_core::Expiry::NEVER,
    );
    let text = record.unwrap().encode();
    for (what, broken) in [
        (
            "version",
            text.replacen("\"version\":", "\"version\":\"lorem\",\"x\":", 1),
        ),
        ("all", "\"lorem ipsum\"".to_owned()),
        (
            "nothing",
            text.replacen('{', "{\"generation\":\"lorem\",", 1),
        ),
    ] {
        let error = session_core::Record::decode(broken.as_bytes()).unwrap_err();
        heard.add(format_args!(
            "{what} {error} {error:?} {:?}",
            error.source()
        ));
    }
    let heard = heard.0.lock().unwrap();
    assert!(!heard.contains("lorem"), "{heard}");
}
