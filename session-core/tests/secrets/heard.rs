//! Listens to all that is told.

use std::error::Error as _;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use session_core::Error;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Metadata, Subscriber};

/// All that can be heard from outside, as text.
#[derive(Clone, Default)]
pub(crate) struct Heard(pub(crate) Arc<Mutex<String>>, Arc<AtomicU64>);

impl Heard {
    pub(crate) fn add(&self, what: fmt::Arguments<'_>) {
        let mut text = self.0.lock().unwrap();
        writeln!(text, "{what}").unwrap();
    }

    pub(crate) fn error(&self, error: &Error) {
        self.add(format_args!("error {error} {error:?} {error:#?}"));
        let mut source = error.source();
        while let Some(cause) = source {
            self.add(format_args!("cause {cause} {cause:?}"));
            source = cause.source();
        }
        self.add(format_args!("reply {:?}", error.reply()));
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Heard {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line(String::new());
        span.record(&mut line);
        self.add(format_args!("span {}{}", span.metadata().name(), line.0));
        Id::from_u64(self.1.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, values: &tracing::span::Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        self.add(format_args!("noted{}", line.0));
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let level = event.metadata().level();
        self.add(format_args!("line {level}{}", line.0));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl metrics::Recorder for Heard {
    fn describe_counter(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }

    fn describe_gauge(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }

    fn describe_histogram(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }

    fn register_counter(&self, key: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
        self.add(format_args!("metric {key}"));
        metrics::Counter::noop()
    }

    fn register_gauge(&self, key: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
        self.add(format_args!("metric {key}"));
        metrics::Gauge::noop()
    }

    fn register_histogram(
        &self,
        key: &metrics::Key,
        _: &metrics::Metadata<'_>,
    ) -> metrics::Histogram {
        self.add(format_args!("metric {key}"));
        metrics::Histogram::noop()
    }
}
