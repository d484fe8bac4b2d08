//! Keys for those who send: made of what the work is about, or made once and kept.

use std::fmt::{self, Write};

use uuid::Uuid;

use crate::{Key, MalformedKey};

impl Key {
    /// The key of a unit of work that has a name of its own in the business, whoever asks and
    /// however often: nothing needs to be remembered for the next try.
    ///
    /// Two lists of parts that differ in how a part is written, or in where one ends and the next
    /// begins, never make the same key. Letters, digits, `-` and `.` stand as they are, every other
    /// byte as `%` with two digits.
    ///
    /// ```
    /// use aplomb_idempotency::Key;
    ///
    /// let key = Key::derived(("order", 123, "line", 1, "reservation"))?;
    /// assert_eq!(key.as_str(), "order_123_line_1_reservation");
    /// // What the work is about may have changed: a new unit of work.
    /// assert_eq!(key.revision(2)?.as_str(), "order_123_line_1_reservation~2");
    /// assert_ne!(Key::derived(["a_b", "c"])?, Key::derived(["a", "b_c"])?);
    /// # Ok::<(), aplomb_idempotency::MalformedKey>(())
    /// ```
    ///
    /// Such keys can be guessed. They are safe where callers are authenticated, since a key belongs
    /// to its caller.
    ///
    /// # Errors
    ///
    /// [`MalformedKey`] without parts, for a part that is empty (a name that is missing would give
    /// different work the same key), and over 255 characters, with how many there were.
    pub fn derived(parts: impl Parts) -> Result<Self, MalformedKey> {
        let mut key = String::new();
        let (mut count, mut is_empty) = (0_usize, false);
        parts.each(&mut |part| {
            if count > 0 {
                key.push('_');
            }
            count += 1;
            let from = key.len();
            // Writing into a string does not fail; a `Display` that says so wrote what it could.
            let _ = write!(Escaped(&mut key), "{part}");
            is_empty |= key.len() == from;
        });
        if is_empty {
            return Err(MalformedKey::because("a part of the key is empty"));
        }
        Self::checked(&key)
    }

    /// The key of the same work with another payload. No list of parts makes it.
    ///
    /// # Errors
    ///
    /// [`MalformedKey`] over 255 characters.
    pub fn revision(&self, revision: u32) -> Result<Self, MalformedKey> {
        Self::checked(&format!("{}~{revision}", self.as_str()))
    }

    /// A key that nobody can guess and nobody else has: a UUID of version 7.
    ///
    /// It names the work only for those who remember it, so write it beside the work before the
    /// first send.
    #[expect(clippy::missing_panics_doc, reason = "a UUID has 36 printable characters")]
    pub fn random() -> Self {
        let mut buffer = Uuid::encode_buffer();
        let key: &str = Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
        Self::checked(key).expect("a UUID has 36 printable characters")
    }
}

/// What a key is derived from, in order: a tuple, an array, a slice or a vector of what can be
/// shown.
///
/// ```
/// use aplomb_idempotency::{Key, Parts};
///
/// fn key(parts: impl Parts) -> String {
///     Key::derived(parts).unwrap().as_str().to_owned()
/// }
///
/// assert_eq!(key(["order", "123", "line", "1"]), "order_123_line_1");
/// assert_eq!(key(("order", 123)), "order_123");
/// ```
pub trait Parts {
    /// Shows each part to `visit`.
    fn each(&self, visit: &mut dyn FnMut(&dyn fmt::Display));
}

impl<P: Parts + ?Sized> Parts for &P {
    fn each(&self, visit: &mut dyn FnMut(&dyn fmt::Display)) {
        (**self).each(visit);
    }
}

impl<D: fmt::Display> Parts for [D] {
    fn each(&self, visit: &mut dyn FnMut(&dyn fmt::Display)) {
        for part in self {
            visit(part);
        }
    }
}

impl<D: fmt::Display, const N: usize> Parts for [D; N] {
    fn each(&self, visit: &mut dyn FnMut(&dyn fmt::Display)) {
        self.as_slice().each(visit);
    }
}

impl<D: fmt::Display> Parts for Vec<D> {
    fn each(&self, visit: &mut dyn FnMut(&dyn fmt::Display)) {
        self.as_slice().each(visit);
    }
}

macro_rules! parts {
    ($($part:ident)+) => {
        impl<$($part: fmt::Display),+> Parts for ($($part,)+) {
            #[expect(non_snake_case, reason = "the types' names name the values")]
            fn each(&self, visit: &mut dyn FnMut(&dyn fmt::Display)) {
                let ($($part,)+) = self;
                $(visit($part);)+
            }
        }
    };
}

parts!(A);
parts!(A B);
parts!(A B C);
parts!(A B C D);
parts!(A B C D E);
parts!(A B C D E F);
parts!(A B C D E F G);
parts!(A B C D E F G H);
parts!(A B C D E F G H I);
parts!(A B C D E F G H I J);

/// Writes bytes so that neither the separator of parts, nor that of a revision, nor the escape
/// itself stands for anything else.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for byte in part.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' => {
                    self.0.push(char::from(byte));
                }
                _ => write!(self.0, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn two_lists_of_parts_never_make_one_key(
            one in lists(), other in lists(), revisions in (0_u32..3, 0_u32..3),
        ) {
            let key = |list: &[String], revision| {
                let key = Key::derived(list).unwrap();
                if revision == 0 { key } else { key.revision(revision).unwrap() }
            };
            let same = key(&one, revisions.0) == key(&other, revisions.1);
            prop_assert_eq!(same, one == other && revisions.0 == revisions.1);
        }

        #[test]
        fn every_derived_key_is_read_back_off_the_wire(list in lists()) {
            let key = Key::derived(&list).unwrap();
            let headers = [(aplomb_core::IDEMPOTENCY_KEY, key.header_value())];
            let read = Key::of(&headers.into_iter().collect(), crate::Bare::Refused);
            prop_assert_eq!(read, Ok(Some(key)));
        }
    }

    /// Short parts of the letters that could be mistaken for one another.
    fn lists() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[a_%~5F2é \"]{1,4}", 1..5)
    }

    #[test]
    fn what_names_nothing_is_refused() {
        let none: [&str; 0] = [];
        assert!(Key::derived(none).is_err());
        assert!(Key::derived(("order", "")).is_err());
        let error = Key::derived(["x".repeat(300)]).unwrap_err();
        assert!(error.to_string().contains("300"), "{error}");
        let longest = Key::derived(["x".repeat(255)]).unwrap();
        assert!(longest.revision(1).is_err());
    }

    #[test]
    fn random_keys_differ() {
        assert_ne!(Key::random(), Key::random());
    }
}
