//! The memory store keeps the contract.

#[path = "stores/memory.rs"]
mod memory;

session_core::store_conformance!(memory::InMemory::default(), without: [plant, reopen]);
