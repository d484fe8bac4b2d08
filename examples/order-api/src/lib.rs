//! The demo's Order API.
