//! Alerts, pure: from rule to instance to episode, and the desk's decisions over time.
