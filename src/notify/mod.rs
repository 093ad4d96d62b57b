//! Receivers: how a notification reaches people.
