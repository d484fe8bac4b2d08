//! Checks that a layer honours tower's contract.
