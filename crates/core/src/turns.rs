//! Whose turn it is, where only so many things may go on at once: commands that look at workers.
//!
//! Called by the daemon. First come, first served, but no app has more than its share under way: one whose commands hang does not
//! keep those of others from their turn.

use crate::ids::AppId;
use std::collections::{BTreeMap, VecDeque};

/// What waits, and how much of each app is under way.
#[derive(Debug)]
pub struct Turns<T> {
    waiting: VecDeque<(AppId, T)>,
    under_way: BTreeMap<AppId, usize>,
    most: usize,
    most_of_one: usize,
}

impl<T> Turns<T> {
    /// At most so many are under way at once, and so many of one app.
    pub fn new(most: usize, most_of_one: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            under_way: BTreeMap::new(),
            most,
            most_of_one,
        }
    }

    /// Something of an app waits for its turn.
    pub fn wait(&mut self, app: AppId, what: T) {
        self.waiting.push_back((app, what));
    }

    /// What is to begin now, if anything is. It is under way until [`over`](Self::over) is called.
    #[must_use]
    pub fn begin(&mut self) -> Option<(AppId, T)> {
        if self.under_way.values().sum::<usize>() >= self.most {
            return None;
        }
        let (under_way, most) = (&self.under_way, self.most_of_one);
        let may = |app: &AppId| under_way.get(app).copied().unwrap_or(0) < most;
        let at = self.waiting.iter().position(|(app, _)| may(app))?;
        let (app, what) = self.waiting.remove(at)?;
        *self.under_way.entry(app).or_default() += 1;
        Some((app, what))
    }

    /// Something of an app is not under way any more.
    pub fn over(&mut self, app: AppId) {
        if let Some(count) = self.under_way.get_mut(&app) {
            *count -= 1;
            if *count == 0 {
                self.under_way.remove(&app);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(turns: &mut Turns<u32>) -> Vec<u32> {
        std::iter::from_fn(|| turns.begin()).map(|(_, what)| what).collect()
    }

    #[test]
    fn who_came_first_is_first_and_only_so_many_are_under_way() {
        let mut turns = Turns::new(2, 2);
        for number in 0..4 {
            turns.wait(AppId(number), number);
        }
        assert_eq!(all(&mut turns), [0, 1]);
        turns.over(AppId(1));
        assert_eq!(all(&mut turns), [2]);
        turns.over(AppId(0));
        turns.over(AppId(2));
        assert_eq!(all(&mut turns), [3]);
        turns.over(AppId(3));
        assert_eq!(all(&mut turns), [0; 0]);
    }

    #[test]
    fn one_app_does_not_keep_others_from_their_turn() {
        let mut turns = Turns::new(4, 2);
        for number in 0..5 {
            turns.wait(AppId(0), number);
        }
        turns.wait(AppId(1), 10);
        assert_eq!(all(&mut turns), [0, 1, 10]);
        turns.over(AppId(1));
        assert_eq!(all(&mut turns), [0; 0], "its share is under way");
        turns.over(AppId(0));
        assert_eq!(all(&mut turns), [2]);
    }
}
