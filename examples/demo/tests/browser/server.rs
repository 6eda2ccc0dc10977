//! A server of a few ready pages, which remembers what is posted to it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use session_demo::page;

/// Serves until the test program ends.
pub(crate) struct Server {
    url: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    pages: HashMap<String, String>,
    posts: Vec<(String, String)>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::<Mutex<Shared>>::default();
        let server = Self {
            url: format!("http://{address}"),
            shared: Arc::clone(&shared),
        };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // One thread each: browsers also open connections they never use.
                thread::spawn(move || answer(&stream, &shared));
            }
        });
        server
    }

    /// Serves `html` under `path` from now on, and returns its URL.
    pub(crate) fn serve(&self, path: &str, html: String) -> String {
        lock(&self.shared).pages.insert(path.to_owned(), html);
        format!("{}{path}", self.url)
    }

    /// Path and body of every POST since the last call.
    pub(crate) fn take_posts(&self) -> Vec<(String, String)> {
        std::mem::take(&mut lock(&self.shared).posts)
    }
}

/// Answers one request: a page for a GET, the way back to `/` for a POST.
fn answer(mut stream: &TcpStream, shared: &Mutex<Shared>) -> Option<()> {
    let mut request = BufReader::new(stream);
    let mut first_line = String::new();
    request.read_line(&mut first_line).ok()?;
    let mut words = first_line.split_whitespace();
    let (method, path) = (words.next()?, words.next()?);

    let mut body_bytes = 0;
    loop {
        let mut line = String::new();
        request.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                body_bytes = value.parse().ok()?;
            }
            Some(_) => {}
            None => break,
        }
    }

    let response = if method == "POST" {
        let mut body = vec![0; body_bytes];
        request.read_exact(&mut body).ok()?;
        let body = String::from_utf8(body).ok()?;
        lock(shared).posts.push((path.to_owned(), body));
        "HTTP/1.1 303 See Other\r\nLocation: /\r\n".to_owned() + END
    } else if let Some(html) = lock(shared).pages.get(path) {
        let policy = page::csp();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\
             Content-Security-Policy: {policy}\r\n{END}{html}"
        )
    } else {
        "HTTP/1.1 404 Not Found\r\n".to_owned() + END
    };
    stream.write_all(response.as_bytes()).ok()
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().expect("nothing panics while it is locked")
}

const END: &str = "Cache-Control: no-store\r\nConnection: close\r\n\r\n";
