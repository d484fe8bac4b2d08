//! Any of the targets: `APLOMB_TARGET` says which.

#![no_main]

use std::sync::LazyLock;

use aplomb_fuzz::{Target, target};
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("APLOMB_TARGET").expect("APLOMB_TARGET names a target");
    target(&name).expect("there is a target of that name")
});

fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
