use aplomb_dead_letter::key_of;
use aplomb_idempotency::{Fingerprint, Key, RecordId, StoredAnswer};
use bytes::Bytes;

use crate::bytes::headers;

/// What a store has in its columns is read, or refused; what is read is written back byte for byte.
/// The first two bytes are a status, the rest are the headers' column.
pub(crate) fn stored_answer(bytes: &[u8]) {
    let Some((status, column)) = bytes.split_at_checked(2) else { return };
    let status = u16::from_be_bytes([status[0], status[1]]);
    let body = Some(Bytes::copy_from_slice(column));
    if let Ok(answer) = StoredAnswer::from_columns(status, column, body) {
        let written = answer.headers_to_bytes();
        let again = StoredAnswer::from_columns(status, &written, answer.body().cloned());
        assert_eq!(again.ok().as_ref(), Some(&answer));
        _ = answer.into_response::<Bytes>();
    }
    if let Some(fingerprint) = Fingerprint::from_bytes(bytes) {
        assert_eq!(fingerprint.to_bytes(), bytes);
    }
}

/// References that callers quote, keys that letters are named by.
pub(crate) fn reference(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(id) = text.parse::<RecordId>() {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        if let Ok(key) = Key::try_from(text) {
            assert_eq!(key.as_str(), text);
        }
    }
    if let Some(key) = key_of(&headers(bytes)) {
        assert!(!key.is_empty());
    }
}
