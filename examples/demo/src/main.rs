//! One command: the services, the story, the check.

fn main() {}
