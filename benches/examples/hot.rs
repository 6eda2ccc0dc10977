//! tmp
use session_benches::*;
fn main() {
    let which = std::env::args().nth(1).unwrap();
    let n: u32 = std::env::args().nth(2).unwrap().parse().unwrap();
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let m = manager();
    let mut router = with_sessions(&m);
    let cookie = rt.block_on(filled(&mut router, Size::Small));
    let path: &'static str = if which == "read" { "/read" } else { "/write" };
    for _ in 0..n {
        rt.block_on(send(&mut router, request(path, Some(&cookie))));
    }
}
