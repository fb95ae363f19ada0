//! Where things of a slot lie: paths of a spec with the slot's number filled in.

use ostler_core::{LogFile, SlotId, Spec};
use std::path::PathBuf;

/// The pid file.
pub fn pid_file(spec: &Spec, slot: SlotId) -> PathBuf {
    PathBuf::from(filled(&spec.pid_file, slot))
}

/// A log file as PM2 shows it: `/dev/null` where output is discarded.
pub fn log_file(file: &LogFile, slot: SlotId) -> String {
    match file {
        LogFile::Discard => "/dev/null".to_owned(),
        LogFile::Path(pattern) => filled(pattern, slot),
    }
}

/// All log files of a slot that exist as files.
pub fn log_files(spec: &Spec, slot: SlotId) -> Vec<PathBuf> {
    let files = [
        Some(&spec.logs.out),
        Some(&spec.logs.error),
        spec.logs.combined.as_ref(),
    ];
    let paths = files.into_iter().flatten().filter_map(|file| match file {
        LogFile::Discard => None,
        LogFile::Path(pattern) => Some(PathBuf::from(filled(pattern, slot))),
    });
    paths.collect()
}

/// A path with `{id}` filled in.
pub fn filled(pattern: &str, slot: SlotId) -> String {
    pattern.replace("{id}", &slot.to_string())
}
