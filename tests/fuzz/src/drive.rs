use aplomb_core::time::Duration;
use aplomb_core::{Rng, time};

use crate::Target;

/// Gives a target random bytes and altered pieces of its corpus, from this seed, for so long; says
/// how many inputs that were.
///
/// # Panics
///
/// Where the target does, once the input has been handed to `tell`.
pub fn drive(
    target: Target,
    corpus: &[Vec<u8>],
    seed: u64,
    lasts: Duration,
    tell: impl Fn(&[u8]),
) -> u64 {
    let (begun, mut rng, mut inputs) = (time::now(), Rng::seeded(seed), 0);
    loop {
        let input = invent(&mut rng, corpus);
        let guard = Telling { input: &input, tell: &tell };
        (target.run)(&input);
        guard.went_well();
        inputs += 1;
        // Looking at the clock costs more than a small input does.
        if inputs % 64 == 0 && time::now() - begun >= lasts {
            return inputs;
        }
    }
}

/// Hands the input on while a panic unwinds.
struct Telling<'a, F: Fn(&[u8])> {
    input: &'a [u8],
    tell: &'a F,
}

impl<F: Fn(&[u8])> Telling<'_, F> {
    fn went_well(self) {
        std::mem::forget(self);
    }
}

impl<F: Fn(&[u8])> Drop for Telling<'_, F> {
    fn drop(&mut self) {
        (self.tell)(self.input);
    }
}

/// Bytes out of nowhere, or a piece of the corpus with a few of its bytes altered, cut out, doubled.
pub(crate) fn invent(rng: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    if corpus.is_empty() || rng.below(4) == 0 {
        let length = rng.below(LONGEST);
        return (0..length).map(|_| byte(rng)).collect();
    }
    let mut input = corpus[below(rng, corpus.len())].clone();
    for _ in 0..=rng.below(6) {
        let at = below(rng, input.len() + 1);
        match rng.below(5) {
            0 => input.insert(at, byte(rng)),
            1 if at < input.len() => _ = input.remove(at),
            2 if at < input.len() => input[at] = byte(rng),
            3 => input.truncate(at),
            _ => {
                let end = at + below(rng, input.len() - at + 1).min(16);
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
        }
    }
    input
}

/// Half of them are what parsers look for.
fn byte(rng: &mut Rng) -> u8 {
    const FAVOURITES: &[u8] = b"\"\\:;,= \t\n0123456789-+.eE_[]{}#\x00\x7f\x80\xff";
    if rng.below(2) == 0 {
        return FAVOURITES[below(rng, FAVOURITES.len())];
    }
    u8::try_from(rng.below(256)).unwrap_or(u8::MAX)
}

fn below(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).unwrap_or(0)
}

const LONGEST: u64 = 400;
