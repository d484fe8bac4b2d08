//! Every target reads its corpus, and some thousands of inputs that nobody thought of.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::Path;

use aplomb_core::time::Duration;
use aplomb_fuzz::{TARGETS, drive};

#[test]
fn every_target_reads_its_corpus() {
    for target in TARGETS {
        let corpus = corpus(target.name);
        assert!(corpus.len() >= 3, "{} has {} inputs", target.name, corpus.len());
        for input in corpus {
            (target.run)(&input);
        }
    }
}

#[test]
fn every_corpus_belongs_to_a_target() {
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(aplomb_fuzz::target(&name).is_some(), "no target reads corpus/{name}");
    }
}

#[test]
fn every_target_reads_what_nobody_thought_of() {
    for target in TARGETS {
        for seed in 0..40 {
            drive(*target, &corpus(target.name), seed, Duration::ZERO, |input| {
                eprintln!("{} with seed {seed}: {input:?}", target.name);
            });
        }
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let files = fs::read_dir(folder().join(target)).unwrap();
    files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}
