//! The code of the guide's recipes, `docs/guide/recipes.md`: a file for each, to be copied whole.
//!
//! `tests/page.rs` sees that the page shows what stands here, `tests/recipes.rs` that it does what
//! the page says.

pub mod layers;
pub mod oidc;
pub mod password;
pub mod return_to;
pub mod second_factor;
pub mod step_up;
pub mod tenants;
pub mod token;
pub mod under_actix;
pub mod user;
