//! The terminal: views, tables and the client of a running server.
