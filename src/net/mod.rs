//! The way out: every outbound connection of the process is resolved, judged, pinned and bounded here.
//!
//! [`policy`] says which addresses may be dialled, [`resolve`] finds them, [`dial`] connects to exactly the address
//! that was judged, [`tls`] wraps the connection, [`http`] speaks HTTP/1.1 over it. Nothing else in the house opens
//! a connection of its own.

mod certificate;
pub mod dial;
pub mod error;
pub mod http;
pub mod phases;
pub mod policy;
pub mod resolve;
pub mod tls;
pub mod url;

pub use dial::{Connection, Dialer};
pub use error::NetError;
pub use phases::{Phase, Phases};
pub use policy::{Cidr, DialPolicy, Refusal};
pub use resolve::{Resolve, SystemResolver};
pub use url::{Url, redact};
