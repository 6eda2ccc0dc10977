//! The servers are real, private, killable, and gone with the test.

mod cluster;
mod mariadb;
mod parent;
mod postgres;
mod process;
mod proxy;
mod redis;
mod sentinel;
