//! Injects seeded faults into a service.
