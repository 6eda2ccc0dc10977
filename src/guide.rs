//! Pages to read: moving in from another library, recipes, deploying, what became of each feature of
//! the ancestors, and why things are as they are.
//!
//! - [`moving`]: every option and call of web.py, weppy and emmett, Beaker, tower-sessions and
//!   actix-session, and the line that does it here; what axum_session's users write; and signing in
//!   as with axum-login and actix-identity;
//! - [`recipes`]: what is written around a login, whole in `examples/recipes`;
//! - [`deploying`]: what to see to before others use an application;
//! - [`ancestors`]: every feature of the first three, and the tests that show it;
//! - [`design`]: the decisions, and what they were weighed against.

/// A page of the repository.
///
/// Its own links lead to files, for those who read it there. Of two definitions of a link the
/// first counts, so these lead to the pages here.
macro_rules! page {
    ($name:ident, $file:literal) => {
        #[doc = "[ancestors]: crate::guide::ancestors"]
        #[doc = "[at-a-date]: crate::guide::design#why-does-no-session-end-at-a-date"]
        #[doc = "[attributes]: crate::guide::design#why-can-a-handler-not-choose-the-cookies-attributes"]
        #[doc = "[emptied]: crate::guide::design#why-does-an-emptied-session-live-on"]
        #[doc = "[events]: crate::event"]
        #[doc = "[exempt]: crate::http::CsrfGuardBuilder::exempt"]
        #[doc = "[fingerprint]: crate::guide::design#why-is-a-session-bound-to-an-address-at-most"]
        #[doc = "[flash-text]: crate::guide::design#why-is-flashed-text-plain"]
        #[doc = "[https]: crate::guide::design#why-is-there-no-redirect-to-https"]
        #[doc = "[initializer]: crate::guide::design#why-does-the-initializer-not-see-the-request"]
        #[doc = "[key-ring]: crate::KeyRing#to-change-the-key"]
        #[doc = "[locks]: crate::guide::design#why-can-a-handler-take-no-lock"]
        #[doc = "[moving]: crate::guide::moving"]
        #[doc = "[no-cookie]: crate::guide::design#why-is-there-no-switch-that-withholds-the-cookie"]
        #[doc = "[one-form]: crate::guide::design#why-one-stored-form-and-no-compression"]
        #[doc = "[other-stores]: crate::guide::design#why-no-memcached-mongodb-or-app-engine"]
        #[doc = "[recipes]: crate::guide::recipes"]
        #[doc = "[reload]: crate::guide::design#why-does-a-memorystore-not-outlive-its-process"]
        #[doc = "[saving]: crate::guide::design#why-is-there-no-mode-of-saving"]
        #[doc = "[type]: crate::guide::design#why-is-a-session-not-of-the-applications-type"]
        #[doc = ""]
        // The code of a page is compiled by the tests that it names, and no example of its own.
        #[cfg_attr(not(doctest), doc = include_str!($file))]
        pub mod $name {}
    };
}

page!(moving, "../docs/guide/moving.md");
page!(recipes, "../docs/guide/recipes.md");
page!(deploying, "../docs/guide/deploying.md");
page!(ancestors, "../docs/guide/ancestors.md");
page!(design, "../DESIGN.md");
