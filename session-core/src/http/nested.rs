//! Layers around layers: which exchange a handler gets, and which layer finishes it.

use std::any::{TypeId, type_name};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::exchange::{Begun, Exchange};
use crate::manager::SessionManager;

/// The kind of an application's sessions where it names no other.
#[derive(Clone, Copy, Debug)]
pub enum Main {}

/// The exchanges of one request's layers of kind `K`, the innermost in front.
///
/// A layer leaves one in its request's extensions. Layers of different kinds do not see each other, so
/// one request can hold a session of each. Of layers of one kind the innermost counts; where one of
/// the same manager stands further out, its exchange is used again.
///
/// ```
/// use session_core::http::{Main, Nested};
/// use session_core::{MemoryStore, SessionConfig, SessionManager};
///
/// let sessions = SessionManager::new(MemoryStore::new(), SessionConfig::builder().build()?);
/// let (outer, begun) = Nested::<Main>::enter(None, &sessions, "GET");
/// assert!(begun.is_some(), "this layer finishes it");
/// let (_inner, begun) = Nested::enter(Some(&outer), &sessions, "GET");
/// assert!(begun.is_none(), "and this one does not");
/// # Ok::<(), session_core::Error>(())
/// ```
pub struct Nested<K = Main> {
    exchange: Exchange,
    outer: Option<Arc<Self>>,
    kind: PhantomData<fn() -> K>,
}

impl<K> Nested<K> {
    /// Enters a layer of `manager`; `outer` is what the layer around it left, if there is one.
    ///
    /// The second is the exchange that this layer begins and has to finish; `None` if a layer
    /// further out does.
    #[must_use]
    pub fn enter(
        outer: Option<&Self>,
        manager: &SessionManager,
        method: &str,
    ) -> (Self, Option<Begun>) {
        let mut around = outer;
        while let Some(layer) = around {
            if layer.exchange.is_of(manager) {
                return (Self::around(layer.exchange.clone(), outer), None);
            }
            around = layer.outer.as_deref();
        }
        let exchange = Exchange::begin(manager, method);
        (
            Self::around(exchange.clone(), outer),
            Some(Begun::new(exchange)),
        )
    }

    fn around(exchange: Exchange, outer: Option<&Self>) -> Self {
        Self {
            exchange,
            outer: outer.cloned().map(Arc::new),
            kind: PhantomData,
        }
    }

    /// What the layer of this kind is called where it is missing; of several kinds it names which.
    #[must_use]
    pub fn layer_name() -> String
    where
        K: 'static,
    {
        if TypeId::of::<K>() == TypeId::of::<Main>() {
            "SessionLayer".to_owned()
        } else {
            format!("SessionLayer::of::<{}>", type_name::<K>())
        }
    }

    /// The exchange that handlers inside of the innermost layer get.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }
}

impl<K> Clone for Nested<K> {
    fn clone(&self) -> Self {
        Self {
            exchange: self.exchange.clone(),
            outer: self.outer.clone(),
            kind: PhantomData,
        }
    }
}

impl<K> fmt::Debug for Nested<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nested")
            .field("exchange", &self.exchange)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SessionConfig;
    use crate::memory::MemoryStore;

    fn manager() -> SessionManager {
        let config = SessionConfig::builder().build().unwrap();
        SessionManager::new(MemoryStore::new(), config)
    }

    #[test]
    fn each_manager_has_one_exchange_however_often_its_layer_stands_there() {
        let (a, b) = (manager(), manager());
        let mut nested: Option<Nested> = None;
        let mut begun = Vec::new();
        for (at, of) in [&a, &b, &a, &a, &b, &a].into_iter().enumerate() {
            let (next, own) = Nested::enter(nested.as_ref(), of, "GET");
            assert!(next.exchange().is_of(of), "{at}: the innermost counts");
            begun.extend(own.map(|_| at));
            nested = Some(next);
        }
        assert_eq!(begun, [0, 1]);
    }

    #[test]
    fn a_kind_needs_no_abilities_of_its_own() {
        struct Bare(#[expect(dead_code, reason = "what it is does not matter")] *const u8);
        fn is_shared<T: Clone + fmt::Debug + Send + Sync + 'static>(_: &T) {}
        is_shared(&Nested::<Bare>::enter(None, &manager(), "GET").0);
    }
}
