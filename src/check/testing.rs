//! What the tests of several kinds share.

use std::collections::HashMap;
use std::sync::Arc;

use super::CheckEnv;
use crate::net::{DialPolicy, Dialer};

/// An environment whose Secrets are `token/value` and `ca/none`.
pub(crate) fn env() -> CheckEnv {
    let known: HashMap<(&str, &str), &str> =
        HashMap::from([(("token", "value"), "s3cret\n"), (("token", "newline"), "a\nb")]);
    CheckEnv {
        dialer: Dialer::new(DialPolicy::local()),
        roots: crate::host::Roots::default(),
        secrets: Arc::new(move |namespace, of| {
            assert_eq!(namespace, "shop");
            known.get(&(of.name.as_str(), of.key.as_str())).map(|text| (*text).to_owned())
        }),
    }
}
