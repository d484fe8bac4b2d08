//! The retry-storm lab: the real policies under virtual time.
