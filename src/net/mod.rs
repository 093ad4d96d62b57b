//! The only way out: resolve, filter every address, pin, dial, and speak HTTP within limits.
