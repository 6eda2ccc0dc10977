//! What the application was promised, line by line, and whether the store kept it.

use std::collections::{BTreeMap, BTreeSet};

use session_kit::{Cursor, Generation, Owner, Record, SessionId, SessionManager};

use crate::application::{OWNERS, TASKS};
use crate::client::Request;

/// All sessions that were promised, over all rounds.
#[derive(Default)]
pub(crate) struct Ledger {
    sessions: BTreeMap<SessionId, Promised>,
    /// The session that each task uses.
    current: [Option<SessionId>; TASKS],
    /// What each task has announced and not been answered.
    under_way: [Option<String>; TASKS],
    /// How often the shared session was counted up.
    pub(crate) shared: u64,
    pub(crate) answers: u64,
}

/// What is known of one session.
struct Promised {
    cookie: String,
    n: u64,
    owner: Option<String>,
    generation: u32,
    accessed_ms: i64,
    ended: bool,
}

impl Ledger {
    /// Takes a line of the application's down.
    pub(crate) fn note(&mut self, line: &str) -> Option<()> {
        let (task, rest) = line.strip_prefix("task ")?.split_once(' ')?;
        let task: usize = task.parse().ok()?;
        if let Some(what) = rest.strip_prefix("will ") {
            self.under_way[task] = Some(what.to_owned());
            return Some(());
        }
        let answer = rest.strip_prefix("done")?.trim_start();
        let what = self.under_way[task].take()?;
        self.answers += 1;
        if what == "begin" {
            let (id, cookie) = answer.split_once(' ')?;
            let id = id.parse().ok()?;
            self.current[task] = Some(id);
            let begun = Promised {
                cookie: cookie.to_owned(),
                n: 1,
                owner: None,
                generation: Generation::FIRST.0,
                accessed_ms: i64::MIN,
                ended: false,
            };
            self.sessions.insert(id, begun);
            return Some(());
        }
        if what == "share" {
            self.shared += 1;
            return Some(());
        }
        let session = self.sessions.get_mut(&self.current[task]?)?;
        match what.split_once(' ') {
            Some((_, owner)) => {
                session.log_in(owner);
                session.cookie = answer.to_owned();
            }
            None if what == "renew" => {
                session.generation += 1;
                session.cookie = answer.to_owned();
            }
            None if what == "count" => session.n = answer.parse().ok()?,
            None if what == "touch" => session.accessed_ms = answer.parse().ok()?,
            None => session.ended = true,
        }
        Some(())
    }

    /// How many tasks were counting the shared session up when they were killed.
    pub(crate) fn shares_under_way(&self) -> u64 {
        let sharing = self.under_way.iter().flatten();
        sharing.filter(|what| *what == "share").count() as u64
    }

    /// Holds the store against every promise; what was under way may have happened or not.
    pub(crate) async fn check(&mut self, node: &SessionManager) -> Result<(), String> {
        let mut doubts = BTreeMap::new();
        for (id, what) in self.current.iter().zip(&mut self.under_way) {
            if let (Some(id), Some(what)) = (id, what.take()) {
                doubts.insert(*id, what);
            }
        }
        let mut settled = Vec::new();
        for (id, promised) in &self.sessions {
            let found = node
                .store()
                .load(id)
                .await
                .map_err(|error| error.to_string())?;
            let doubt = doubts.get(id).map(String::as_str);
            promised.check(node, id, found.as_ref(), doubt).await?;
            if doubt.is_some() {
                settled.push(*id);
            }
        }
        self.check_owners(node, &doubts).await?;
        self.check_strangers(node).await?;
        for id in settled {
            // What became of it is not known for certain: the next rounds go on without it.
            node.revoke(&id).await.map_err(|error| error.to_string())?;
            self.sessions.remove(&id);
        }
        self.current = Default::default();
        Ok(())
    }

    /// Each owner has the sessions that were promised, and no others.
    async fn check_owners(
        &self,
        node: &SessionManager,
        doubts: &BTreeMap<SessionId, String>,
    ) -> Result<(), String> {
        for name in OWNERS {
            let owner = Owner::new(name).expect("a name");
            let listed = node
                .sessions_of(&owner)
                .await
                .map_err(|error| error.to_string())?;
            let listed: BTreeSet<_> = listed.into_iter().map(|session| session.id).collect();
            for (id, promised) in self
                .sessions
                .iter()
                .filter(|(id, _)| !doubts.contains_key(id))
            {
                let theirs = !promised.ended && promised.owner.as_deref() == Some(name);
                if theirs != listed.contains(id) {
                    return Err(format!(
                        "{name} owns {id}: {theirs} was acknowledged, the index says otherwise"
                    ));
                }
            }
            let raw = node
                .store()
                .owned_by(&owner)
                .await
                .map_err(|error| error.to_string())?;
            if !listed.iter().all(|id| raw.contains(id)) {
                return Err(format!("the index of {name} is not whole"));
            }
        }
        Ok(())
    }

    /// Nothing is in the store that was not promised but what was just being begun.
    async fn check_strangers(&self, node: &SessionManager) -> Result<(), String> {
        let (mut strangers, mut cursor) = (BTreeSet::new(), Cursor::start());
        loop {
            let page = node
                .scan(cursor, 100)
                .await
                .map_err(|error| error.to_string())?;
            let ids = page.ids.into_iter();
            strangers.extend(ids.filter(|id| !self.sessions.contains_key(id)));
            let Some(next) = page.next else {
                break;
            };
            cursor = next;
        }
        // One is the session that all share.
        if strangers.len() > TASKS + 1 {
            return Err(format!("{} sessions that nobody began", strangers.len()));
        }
        for id in strangers {
            let record = node
                .store()
                .load(&id)
                .await
                .map_err(|error| error.to_string())?;
            let shared = record
                .as_ref()
                .is_some_and(|record| record.data.raw("shared").is_some());
            if !shared {
                node.revoke(&id).await.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}

impl Promised {
    fn log_in(&mut self, owner: &str) {
        if self.owner.as_deref().is_some_and(|before| before != owner) {
            // Another's values are not the new owner's.
            self.n = 0;
        }
        self.owner = Some(owner.to_owned());
        self.generation += 1;
    }

    async fn check(
        &self,
        node: &SessionManager,
        id: &SessionId,
        found: Option<&Record>,
        doubt: Option<&str>,
    ) -> Result<(), String> {
        let session = Request::begin(node, &self.cookie).await.session;
        let Some(record) = found.filter(|_| !self.ended) else {
            let may_be_gone = self.ended || doubt == Some("destroy");
            return match (found, may_be_gone, session.is_new()) {
                (None, true, true) => Ok(()),
                (None, false, _) => Err(format!("{id} was acknowledged and is gone")),
                _ => Err(format!("{id} is back, and its end was acknowledged")),
            };
        };
        let n = record
            .data
            .raw("n")
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        let owner = record.owner.as_ref().map(|owner| owner.to_string());
        let state = (n, owner, record.generation.0);
        let promised = (self.n, self.owner.clone(), self.generation);
        let mut after = promised.clone();
        match doubt.map(|doubt| doubt.split_once(' ').unwrap_or((doubt, ""))) {
            Some(("count", _)) => after.0 += 1,
            Some(("renew", _)) => after.2 += 1,
            Some(("login", owner)) => {
                if after.1.as_deref().is_some_and(|before| before != owner) {
                    after.0 = 0;
                }
                after.1 = Some(owner.to_owned());
                after.2 += 1;
            }
            _ => {}
        }
        if state != promised && state != after {
            return Err(format!(
                "{id}: {promised:?} was acknowledged, {doubt:?} under way, and {state:?} is there"
            ));
        }
        if record.accessed_at.as_unix_ms() < self.accessed_ms {
            return Err(format!("{id}: a touch was acknowledged and is lost"));
        }
        if state == promised && session.is_new() {
            return Err(format!("{id}: a secret was acknowledged and opens nothing"));
        }
        Ok(())
    }
}
