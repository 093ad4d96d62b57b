//! What the tests of the built program share: starting it, asking it, and a small scripted world around it.
//!
//! Nothing here knows the library: the program is a file, its answers are text.

pub mod ask;
pub mod program;
pub mod resources;
pub mod sink;
pub mod table;
pub mod world;

use std::fmt::Debug;
use std::time::{Duration, Instant};

pub use program::{Home, Running, vitals};
pub use sink::{Conduct, Sink};
pub use table::Table;
pub use world::{Target, TcpTarget};

/// How long anything may take that a test waits for. Generous: a slow machine is no failure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again until the answer is `Ok`, and returns it; after [`PATIENCE`] fails with the last complaint.
#[track_caller]
pub fn eventually<T, E: Debug>(what: &str, mut ask: impl FnMut() -> Result<T, E>) -> T {
    let start = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(complaint) if start.elapsed() > PATIENCE => {
                panic!("waited {PATIENCE:?} in vain until {what}; the last complaint: {complaint:?}")
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// For [`eventually`]: `Ok` if it holds, else what was seen instead.
pub fn holds<T: Debug>(condition: bool, seen: &T) -> Result<(), String> {
    if condition { Ok(()) } else { Err(format!("{seen:?}")) }
}
