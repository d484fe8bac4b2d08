//! Every layer's events as prometheus metrics.
