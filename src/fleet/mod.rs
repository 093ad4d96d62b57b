//! The leader: reports in, roll-up, cluster rules, desk, delivery.
