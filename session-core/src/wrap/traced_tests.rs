use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};

use super::*;
use crate::data::Data;
use crate::wrap::stepped::{START, Stepped, next, now, record};

/// Writes down every span and event with its fields.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Level, String)>>>, Arc<AtomicU64>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != "micros" {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
        }
    }
}

impl Log {
    fn lines(&self) -> Vec<(Level, String)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn add(&self, kind: &str, metadata: &Metadata<'_>, line: &Line) {
        if metadata.target() == "session::store" {
            let line = format!("{kind}{}", line.0);
            self.0.lock().unwrap().push((*metadata.level(), line));
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line(String::new());
        span.record(&mut line);
        self.add("span", span.metadata(), &line);
        Id::from_u64(self.1.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.add("event", event.metadata(), &line);
    }

    fn record(&self, _: &Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Setting {
    stepped: Arc<Stepped>,
    store: Traced,
    id: SessionId,
    record: Record,
}

impl Setting {
    fn new() -> Self {
        let (stepped, id) = (Arc::new(Stepped::default()), SessionId::random().unwrap());
        let shared: Arc<dyn Store> = Arc::clone(&stepped) as _;
        let record = Record {
            owner: Some(Owner::new("ada").unwrap()),
            address: Some(std::net::Ipv4Addr::new(192, 0, 2, 7).into()),
            agent: Some("agent".into()),
            own: Data::parse(r#"{"csrf":"seed"}"#).unwrap(),
            data: Data::parse(r#"{"diagnosis":"flu"}"#).unwrap(),
            ..record(&id, 1)
        };
        Self {
            store: Traced::new(shared).named("spied"),
            stepped,
            id,
            record,
        }
    }

    /// Every operation with every answer it has, in this order.
    fn everything(&self) {
        let Self {
            store, id, record, ..
        } = self;
        let second = next(record, 2);
        let touch = |generation| Touch {
            generation,
            accessed_at: START,
        };
        let wrong = record.generation.next();
        assert_eq!(now(store.load(id)).unwrap(), None);
        assert_eq!(now(store.create(id, record)).unwrap(), Created::Done);
        assert_eq!(now(store.create(id, record)).unwrap(), Created::Taken);
        assert!(now(store.load(id)).unwrap().is_some());
        let mut answers = vec![
            now(store.update(id, &second, record.version)).unwrap(),
            now(store.update(id, &second, record.version)).unwrap(),
            now(store.touch(id, &touch(record.generation))).unwrap(),
            now(store.touch(id, &touch(wrong))).unwrap(),
        ];
        let owner = Owner::new("ada").unwrap();
        assert_eq!(now(store.owned_by(&owner)).unwrap(), [*id]);
        assert_eq!(now(store.scan(Cursor::start(), 10)).unwrap().ids, [*id]);
        now(store.ping()).unwrap();
        answers.push(now(store.delete(id, Only::Generation(wrong))).unwrap());
        let after = START.after(std::time::Duration::from_secs(60));
        assert_eq!(now(store.sweep(after, 10)).unwrap(), 1);
        answers.push(now(store.delete(id, Only::Any)).unwrap());
        let expected = [
            Written::Done,
            Written::Conflict,
            Written::Done,
            Written::Conflict,
            Written::Conflict,
            Written::Gone,
        ];
        assert_eq!(answers, expected);
    }
}

const EVERYTHING: [(&str, &str); 14] = [
    ("load", "absent"),
    ("create", "done"),
    ("create", "taken"),
    ("load", "found"),
    ("update", "done"),
    ("update", "conflict"),
    ("touch", "done"),
    ("touch", "conflict"),
    ("owned_by", "done"),
    ("scan", "done"),
    ("ping", "done"),
    ("delete", "conflict"),
    ("sweep", "done"),
    ("delete", "gone"),
];

#[test]
fn every_operation_is_a_span_and_an_event_with_its_outcome() {
    let (log, s) = (Log::default(), Setting::new());
    tracing::subscriber::with_default(log.clone(), || s.everything());
    let mut lines = log.lines().into_iter();
    for (operation, outcome) in EVERYTHING {
        let session = match operation {
            "owned_by" | "scan" | "sweep" | "ping" => String::new(),
            _ => format!(" session={}", s.id),
        };
        let count = match operation {
            "owned_by" | "scan" | "sweep" => " count=1",
            _ => "",
        };
        let head = format!("store=\"spied\" operation={operation:?}{session}");
        let span = (Level::DEBUG, format!("span {head}"));
        assert_eq!(lines.next(), Some(span));
        let (level, event) = lines.next().unwrap();
        assert_eq!(level, Level::DEBUG);
        let expected = [
            format!("{head} outcome={outcome:?}{count}"),
            "answered".into(),
        ];
        assert!(expected.iter().all(|part| event.contains(part)), "{event}");
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn i1_no_data_owner_address_or_digest_is_in_a_trace() {
    let (log, s) = (Log::default(), Setting::new());
    tracing::subscriber::with_default(log.clone(), || s.everything());
    let digest = s.record.secret.to_string();
    for (_, line) in log.lines() {
        for private in [
            "diagnosis",
            "flu",
            "ada",
            "192.0.2.7",
            "agent",
            "seed",
            &digest,
        ] {
            assert!(!line.contains(private), "{private} in {line}");
        }
    }
}

#[test]
fn a_failure_is_a_warning_and_the_answer_is_passed_on() {
    let (log, s) = (Log::default(), Setting::new());
    for (kind, outcome) in [
        (StoreErrorKind::Unavailable, "unavailable"),
        (StoreErrorKind::Full, "full"),
        (StoreErrorKind::TooLarge, "too_large"),
        (StoreErrorKind::Corrupt, "corrupt"),
        (StoreErrorKind::NewerFormat, "newer_format"),
    ] {
        s.stepped.fail(kind);
        let load = || now(s.store.load(&s.id));
        let error = tracing::subscriber::with_default(log.clone(), load).unwrap_err();
        assert_eq!(error.kind(), kind);
        let (level, event) = log.lines().pop().unwrap();
        assert_eq!(level, Level::WARN);
        let (session, outcome) = (format!("session={}", s.id), format!("outcome={outcome:?}"));
        for part in [&*session, &outcome, "error=made to fail"] {
            assert!(event.contains(part), "{event}");
        }
    }
}

#[test]
fn an_operation_that_nobody_waits_for_any_more_is_reported_as_dropped() {
    let (log, s) = (Log::default(), Setting::new());
    s.stepped.wait(true);
    tracing::subscriber::with_default(log.clone(), || {
        let mut load = s.store.load(&s.id);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(load.as_mut().poll(&mut context).is_pending());
    });
    let (_, event) = log.lines().pop().unwrap();
    assert!(event.contains("outcome=\"dropped\""), "{event}");
}

#[cfg(feature = "metrics")]
mod with_metrics {
    use std::collections::BTreeMap;

    use metrics::{
        Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Recorder, SharedString,
        Unit,
    };

    use super::*;

    type Values = Arc<Mutex<BTreeMap<String, Vec<f64>>>>;

    /// Keeps what is counted and measured under the metric's name and labels.
    #[derive(Default)]
    struct Kept(Values);

    struct One(String, Values);

    impl One {
        fn add(&self, value: f64) {
            let mut values = self.1.lock().unwrap();
            values.entry(self.0.clone()).or_default().push(value);
        }
    }

    impl CounterFn for One {
        fn increment(&self, value: u64) {
            self.add(value as f64);
        }

        fn absolute(&self, _: u64) {}
    }

    impl HistogramFn for One {
        fn record(&self, value: f64) {
            self.add(value);
        }
    }

    impl Kept {
        fn one(&self, key: &Key) -> Arc<One> {
            let labels = key.labels().map(|label| format!(" {}", label.value()));
            let name = format!("{}{}", key.name(), labels.collect::<String>());
            Arc::new(One(name, Arc::clone(&self.0)))
        }
    }

    impl Recorder for Kept {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &metrics::Metadata<'_>) -> Counter {
            Counter::from_arc(self.one(key))
        }

        fn register_gauge(&self, _: &Key, _: &metrics::Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, key: &Key, _: &metrics::Metadata<'_>) -> Histogram {
            Histogram::from_arc(self.one(key))
        }
    }

    #[test]
    fn every_operation_is_counted_and_timed_by_outcome() {
        let (kept, s) = (Kept::default(), Setting::new());
        metrics::with_local_recorder(&kept, || {
            s.everything();
            s.everything();
            s.stepped.fail(StoreErrorKind::Unavailable);
            now(s.store.ping()).unwrap_err();
        });
        let mut values = kept.0.lock().unwrap();
        let mut expect = |operation: &str, outcome: &str, times: usize| {
            let labels = format!("spied {operation} {outcome}");
            let counted = values.remove(&format!("session_store_operations_total {labels}"));
            assert_eq!(counted, Some(vec![1.0; times]), "{labels}");
            let timed = values.remove(&format!("session_store_operation_seconds {labels}"));
            let timed = timed.unwrap();
            assert_eq!(timed.len(), times, "{labels}");
            assert!(timed.iter().all(|seconds| (0.0..10.0).contains(seconds)));
        };
        for (operation, outcome) in EVERYTHING {
            expect(operation, outcome, 2);
        }
        expect("ping", "unavailable", 1);
        let swept = values.remove("session_store_swept_total spied");
        assert_eq!(swept, Some(vec![1.0, 1.0]));
        assert!(values.is_empty(), "{values:?}");
    }
}
