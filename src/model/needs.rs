//! What a check or a collector needs from the place it runs in.

/// Requirements, compared with what the deployment's profile grants before anything runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Host paths that must be mounted beyond `/proc` and `/sys` (`/` for file systems).
    pub mounts: &'static [&'static str],
    /// Linux capabilities (`CAP_NET_RAW`).
    pub capabilities: &'static [&'static str],
    /// Must run as uid 0.
    pub root: bool,
    /// The named profile of VitalsConfig that grants it; empty when the default profile does.
    pub profile: &'static str,
}
