//! A script, and the commands that run it.

use redis::Cmd;

/// A Lua script and its digest.
#[derive(Debug)]
pub(crate) struct Script {
    source: String,
    digest: String,
}

impl Script {
    pub(crate) fn new(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            digest: redis::Script::new(source).get_hash().to_owned(),
        }
    }

    /// Runs the script on a server that knows it.
    pub(crate) fn evalsha(&self, key: &[u8], args: &[&[u8]]) -> Cmd {
        run("EVALSHA", &self.digest, key, args)
    }

    /// Runs the script on a server that does not, and teaches it.
    pub(crate) fn eval(&self, key: &[u8], args: &[&[u8]]) -> Cmd {
        run("EVAL", &self.source, key, args)
    }
}

fn run(name: &str, script: &str, key: &[u8], args: &[&[u8]]) -> Cmd {
    let bytes = args.iter().map(|arg| arg.len()).sum::<usize>();
    let mut command = Cmd::with_capacity(
        4 + args.len(),
        name.len() + script.len() + 1 + key.len() + bytes,
    );
    command.arg(name).arg(script).arg(1).arg(key);
    for arg in args {
        command.arg(*arg);
    }
    command
}
