//! The word that somebody meant.

/// The known word that is spelt most like `word`.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> &'a str {
    // A comparison takes time by the product of both lengths, and words come from strangers.
    let word: String = word.to_lowercase().chars().take(WORD_MAX).collect();
    let distance = |other: &&str| {
        let begins_alike = word.starts_with(*other) || other.starts_with(&*word);
        (!begins_alike, strsim::damerau_levenshtein(&word, other))
    };
    known.into_iter().min_by_key(distance).unwrap_or_default()
}

const WORD_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_needs_the_fewest_changes() {
        let known = ["attempts", "attempt_timeout", "total", "owner"];
        for (word, meant) in [
            ("atempts", "attempts"),
            ("attempst", "attempts"),
            ("Total", "total"),
            ("attempt_time", "attempt_timeout"),
            ("own", "owner"),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
        assert_eq!(nearest("x", []), "");
    }
}
