//! The `vitals` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    vitals::cmd::main()
}
