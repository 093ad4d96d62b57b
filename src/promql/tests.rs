//! What queries mean, tested on small histories.
