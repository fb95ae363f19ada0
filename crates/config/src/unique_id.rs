//! Random identifiers (PM2: `unique_id`).

use rustix::rand::{GetRandomFlags, getrandom};

/// A new version 4 UUID (RFC 9562 section 5.4).
pub(crate) fn fresh() -> String {
    let mut bytes = [0_u8; 16];
    // For 16 bytes getrandom(2) neither blocks after boot nor answers short; a kernel without it leaves zeros, and ids
    // that are not unique, which nothing of Ostler depends on.
    let _filled = getrandom(&mut bytes, GetRandomFlags::empty());
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_uuids_of_version_4_and_differ() {
        let (one, two) = (super::fresh(), super::fresh());
        assert_ne!(one, two);
        assert_eq!(one.len(), 36);
        assert_eq!(one.as_bytes()[14], b'4');
    }
}
