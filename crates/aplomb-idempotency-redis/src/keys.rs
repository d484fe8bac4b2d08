//! What the store's keys are called.

use aplomb_idempotency::{RecordId, Scope};

/// The names of one store's keys. All lie in one hash slot, since a step writes a record and its
/// indexes together.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    tag: String,
}

impl Keys {
    /// Keys that begin with `prefix`. One that names a hash tag of its own keeps it; any other
    /// becomes the tag.
    pub(crate) fn with_prefix(prefix: &str) -> Self {
        let tagged = format!("{{{prefix}}}");
        let tag = match (has_hash_tag(prefix), has_hash_tag(&tagged)) {
            (true, _) => prefix.to_owned(),
            (false, true) => tagged,
            // Nothing, or a brace in front that would close the tag at once.
            (false, false) => format!("{{aplomb}}{prefix}"),
        };
        Self { tag }
    }

    pub(crate) fn record(&self, id: RecordId) -> Vec<u8> {
        format!("{}:record:{id}", self.tag).into_bytes()
    }

    /// The last fence, as the score of its one member.
    pub(crate) fn fence(&self) -> Vec<u8> {
        self.named("fence")
    }

    /// Records by when a sweep has something to do about them.
    pub(crate) fn due(&self) -> Vec<u8> {
        self.named("due")
    }

    /// Claims and unknown outcomes, by id.
    pub(crate) fn open(&self) -> Vec<u8> {
        self.named("open")
    }

    /// A caller's records, by id.
    pub(crate) fn of(&self, scope: &Scope) -> Vec<u8> {
        format!("{}:of:{}:{}", self.tag, scope.kind(), scope.name()).into_bytes()
    }

    /// What operators did, newest first.
    pub(crate) fn audit(&self) -> Vec<u8> {
        self.named("audit")
    }

    fn named(&self, name: &str) -> Vec<u8> {
        format!("{}:{name}", self.tag).into_bytes()
    }
}

/// Whether a cluster finds something between the first brace and the next that closes it.
fn has_hash_tag(name: &str) -> bool {
    let inside = name.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    inside.is_some_and(|(tag, _)| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use aplomb_core::Principal;

    use super::*;

    #[test]
    fn all_keys_of_a_store_share_a_hash_tag() {
        let id = RecordId::from_bytes([0xab; 32]);
        let caller = Scope::Principal(Principal::new("{braces}"));
        for (prefix, tag) in
            [("shop", "{shop}:"), ("eu:{shop}", "eu:{shop}:"), ("a{}", "{a{}}:"), ("", "{aplomb}:")]
        {
            let keys = Keys::with_prefix(prefix);
            let all = [keys.record(id), keys.due(), keys.open(), keys.of(&caller), keys.audit()];
            for key in all.into_iter().chain([keys.fence()]) {
                assert!(key.starts_with(tag.as_bytes()), "{}", String::from_utf8_lossy(&key));
            }
        }
    }
}
