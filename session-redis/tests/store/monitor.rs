//! What clients send to a server, as `MONITOR` tells it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use session_test_servers::RedisServer;

pub(crate) struct Monitor<'a> {
    server: &'a RedisServer,
    lines: BufReader<TcpStream>,
}

impl<'a> Monitor<'a> {
    pub(crate) fn of(server: &'a RedisServer) -> Self {
        let mut socket = TcpStream::connect(server.addr()).unwrap();
        let wait = Some(Duration::from_secs(60));
        socket.set_read_timeout(wait).unwrap();
        socket.write_all(b"MONITOR\r\n").unwrap();
        let mut lines = BufReader::new(socket);
        let mut answer = String::new();
        lines.read_line(&mut answer).unwrap();
        assert_eq!(answer, "+OK\r\n");
        Self { server, lines }
    }

    /// The names of the commands since the last call, in order, without those that scripts run.
    pub(crate) fn commands(&mut self) -> Vec<String> {
        let end = "the test looks";
        self.server.command(&["ECHO", end]).unwrap();
        let mut commands = Vec::new();
        loop {
            let mut line = Vec::new();
            self.lines.read_until(b'\n', &mut line).unwrap();
            let line = String::from_utf8_lossy(&line);
            let (from, command) = line.split_once("] ").unwrap();
            if command.contains(end) {
                return commands;
            }
            let name = command.trim().split(' ').next().unwrap();
            if !from.ends_with(" lua") {
                commands.push(name.trim_matches('"').to_uppercase());
            }
        }
    }
}
