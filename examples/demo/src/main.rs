//! `session-demo`: reads its options, opens its store and serves until it is told to end.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use session_demo::app::App;
use session_demo::options::{Framework, Options, Stop, Transport};
use session_demo::setup;
use session_demo::signals::Signals;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

#[tokio::main]
async fn main() -> ExitCode {
    let served = match Options::from_args(std::env::args_os()) {
        Ok(options) => run(&options).await,
        Err(stop) => Err(stop),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Asked(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(Stop::Refused(line)) => {
            eprintln!("session-demo: {line}");
            ExitCode::from(Stop::REFUSED)
        }
    }
}

async fn run(options: &Options) -> Result<(), Stop> {
    let app = setup::app(options).await?;
    let listener = TcpListener::bind(options.bind)
        .await
        .map_err(|error| Stop::Refused(format!("--bind {}: {error}", options.bind)))?;
    let failed = |error: io::Error| Stop::Refused(format!("serving failed: {error}"));
    let address = listener.local_addr().map_err(failed)?;
    // Before the address is announced: whoever reads it may already send a signal.
    let signals = Signals::listen().map_err(failed)?;

    // Why a request failed is told here alone. What there was to say before is one line.
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter.from_env_lossy())
        .with_writer(io::stderr)
        .init();
    if !options.secure() && options.transport == Transport::Cookie {
        eprintln!(
            "session-demo: cookies go without Secure, as {} is loopback and plain HTTP",
            options.bind.ip()
        );
    }
    // A closed stdout is no reason not to serve.
    let _ = writeln!(io::stdout(), "listening on http://{address}");

    let sweeper = app.sessions.start_sweeper(setup::SWEEP_EVERY);
    let farewell = FAREWELL + options.store_timeout;
    let served = serve_until_told(options.framework, app, listener, signals, farewell).await;
    // In a store that hangs a batch takes longer than anybody waits for a program to end.
    let _ = tokio::time::timeout(FAREWELL, sweeper.stop()).await;
    served.map_err(failed)
}

/// Serves until a signal comes, and then until the requests in flight are answered; for those
/// that take too long, or at a second signal, it waits no longer.
async fn serve_until_told(
    framework: Framework,
    app: App,
    listener: TcpListener,
    mut signals: Signals,
    farewell: Duration,
) -> io::Result<()> {
    let (told, stop) = oneshot::channel::<()>();
    let serving = async {
        // Nothing is ever sent: the other end is dropped.
        let stop = async { drop(stop.await) };
        match framework {
            #[cfg(feature = "axum")]
            Framework::Axum => session_demo::axum_app::run(app, listener, stop).await,
            #[cfg(feature = "actix")]
            Framework::Actix => session_demo::actix_app::run(app, listener, stop).await,
            #[cfg(not(all(feature = "axum", feature = "actix")))]
            _ => {
                drop((app, listener, stop));
                Ok(())
            }
        }
    };
    let ending = async {
        signals.next().await;
        drop(told);
        tokio::select! {
            () = signals.next() => {}
            () = tokio::time::sleep(farewell) => {}
        }
    };
    tokio::select! {
        served = serving => served,
        () = ending => Ok(()),
    }
}

/// Longer than the slowest route; what its store calls may take is added.
const FAREWELL: Duration = Duration::from_secs(10);
