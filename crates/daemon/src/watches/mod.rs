//! WIP local placeholder
use ostler_core::{SlotId, Spec};
use std::path::PathBuf;
use std::sync::Arc;
#[derive(Debug, Default)]
pub struct Watches;
pub enum Report {
    Changed { slot: SlotId, path: PathBuf },
    Note(String),
}
impl Watches {
    pub fn watch(&mut self, _slot: SlotId, _spec: &Arc<Spec>, _report: impl Fn(Report) + Send + 'static) {}
    pub fn unwatch(&mut self, _slot: SlotId) {}
}
