//! Who is signed in: secrets that browsers keep as cookies. Pure. A successor gets them, so that a daemon that is replaced signs nobody
//! out.

use super::door::same;
use ostler_core::Instant;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// How long one lasts.
pub const LASTS: Duration = Duration::from_secs(24 * 60 * 60);

/// How many there are at most; the oldest ends for a new one. They have to fit into one message to the keeper.
const MOST: usize = 32;

/// See the module's header.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Sessions {
    begun: VecDeque<Session>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Session {
    key: String,
    user: String,
    until: Instant,
}

impl Sessions {
    /// Begins one. `key` is a fresh secret.
    pub fn begin(&mut self, key: String, user: String, now: Instant) {
        self.begun.retain(|session| session.until > now);
        if self.begun.len() >= MOST {
            self.begun.pop_front();
        }
        let until = now + LASTS;
        self.begun.push_back(Session { key, user, until });
    }

    /// Ends one. Whether it was there.
    pub fn end(&mut self, key: &str) -> bool {
        let before = self.begun.len();
        self.begun.retain(|session| !same(key, &session.key));
        self.begun.len() < before
    }

    /// Whose session it is, if it is one.
    pub fn user(&self, key: &str, now: Instant) -> Option<&str> {
        let lasting = self.begun.iter().filter(|session| session.until > now);
        // All are compared, however soon it is found.
        let found = lasting.fold(None, |found, session| match same(key, &session.key) {
            true => Some(session),
            false => found,
        });
        found.map(|session| session.user.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_lasts_a_day_and_not_longer() {
        let mut sessions = Sessions::default();
        let begin = Instant(1000);
        sessions.begin("key".to_owned(), "ann".to_owned(), begin);
        let end = begin + LASTS;
        assert_eq!(sessions.user("key", Instant(end.0 - 1)), Some("ann"));
        assert_eq!(sessions.user("key", end), None);
        assert_eq!(sessions.user("other", begin), None);
        assert_eq!(sessions.user("", begin), None);
        assert!(sessions.end("key") && !sessions.end("key"));
        assert_eq!(sessions.user("key", begin), None);
    }

    #[test]
    fn the_oldest_ends_for_a_new_one_and_all_fit_into_one_message() {
        let mut sessions = Sessions::default();
        for number in 0..MOST + 3 {
            sessions.begin(
                format!("{number:064}"),
                "n".repeat(super::super::settings::LONGEST_USER),
                Instant(u64::MAX / 2),
            );
        }
        let now = Instant(u64::MAX / 2);
        assert_eq!(sessions.user(&format!("{:064}", 2), now), None);
        assert!(sessions.user(&format!("{:064}", 3), now).is_some());
        let bytes = serde_json::to_vec(&(u64::MAX, &sessions)).expect("JSON");
        assert!(bytes.len() < ostler_wire::keeper::MAX_PACKET - 300, "{}", bytes.len());
    }
}
