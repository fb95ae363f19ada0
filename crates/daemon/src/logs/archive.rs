//! What happens to rotated files: compressed, and deleted when there are too many. A background thread of the lowest
//! priority, which exists only while there is something to do.
//!
//! Called by the log thread after a rotation and when a log is first opened; the latter finishes what a killed daemon
//! left. Each step leaves the directory so that doing it again is right: a compressed file gets its name only when it is
//! whole and on disk, and only then its original is deleted.

use super::note::{FileError, Note};
use super::place::{end_of, extra_field};
use super::rotate::{COMPRESSED, Rotated, RotatedForm, UNFINISHED, among, directory, list, names, with_suffix};
use flate2::{Compression, GzBuilder};
use ostler_core::Rotation;
use rustix::fs::statvfs;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Where the thread's notes go.
pub(super) type Notes = Arc<dyn Fn(Note) + Send + Sync>;

/// The way to the thread.
#[derive(Clone)]
pub(super) struct Archive {
    queue: Arc<(Mutex<Queue>, Condvar)>,
    notes: Notes,
}

/// How long the thread waits for more before it ends: starting a hundred apps opens hundreds of logs one by one, and a
/// thread for each would cost more than the tidying.
const LINGER: Duration = Duration::from_secs(2);

/// How long no further log must be opened before the thread begins.
const BURST: Duration = Duration::from_millis(200);

/// A log and how its rotated files are kept.
type Job = (PathBuf, Rotation);

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    running: bool,
}

impl Archive {
    pub fn new(notes: Notes) -> Self {
        Self {
            queue: Arc::default(),
            notes,
        }
    }

    /// Has the rotated files of `log` put in order, some time.
    pub fn tidy(&self, log: &Path, rotation: &Rotation) {
        let (queue, more) = &*self.queue;
        let mut queue = queue.lock().expect("invariant: nobody panics with this lock");
        if queue.jobs.iter().any(|(path, _)| path == log) {
            return;
        }
        queue.jobs.push_back((log.to_owned(), rotation.clone()));
        more.notify_one();
        if !queue.running {
            let archive = self.clone();
            // Should no thread be had, the job waits for the next one.
            queue.running = thread::Builder::new()
                .name("log-archive".into())
                .spawn(move || archive.work())
                .is_ok();
        }
    }

    fn work(&self) {
        // On Linux the priority is the calling thread's, not the process' (setpriority(2), "C library/kernel differences").
        let _ = rustix::process::setpriority_process(None, 19);
        self.let_a_burst_pass();
        while let Some(jobs) = self.next() {
            let mut directories: BTreeMap<PathBuf, Vec<Job>> = BTreeMap::new();
            for job in jobs {
                directories.entry(directory(&job.0).to_owned()).or_default().push(job);
            }
            for (directory, jobs) in directories {
                self.tidy_in(&directory, &jobs);
            }
        }
    }

    /// Lists a directory once for all logs in it.
    fn tidy_in(&self, directory: &Path, jobs: &[Job]) {
        let names = match names(directory) {
            Ok(names) => names,
            // The logs are gone with it, and so are their rotated files.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return (self.notes)(Note::Upkeep(failed("list", directory)(error))),
        };
        for (log, rotation) in jobs {
            if let Err(error) = tidy(among(&names, log), rotation) {
                (self.notes)(Note::Upkeep(error));
            }
        }
    }

    /// Nothing here is urgent, and while a hundred apps start the processors have better things to do.
    fn let_a_burst_pass(&self) {
        let (queue, more) = &*self.queue;
        let mut queue = queue.lock().expect("invariant: nobody panics with this lock");
        let mut known = 0;
        while queue.jobs.len() > known {
            known = queue.jobs.len();
            let waited = more.wait_timeout_while(queue, BURST, |queue| queue.jobs.len() == known);
            queue = waited.expect("invariant: nobody panics with this lock").0;
        }
    }

    /// All that there is to do; none when there has been nothing for a while.
    fn next(&self) -> Option<VecDeque<Job>> {
        let (queue, more) = &*self.queue;
        let queue = queue.lock().expect("invariant: nobody panics with this lock");
        let waited = more.wait_timeout_while(queue, LINGER, |queue| queue.jobs.is_empty());
        let (mut queue, _) = waited.expect("invariant: nobody panics with this lock");
        queue.running = !queue.jobs.is_empty();
        queue.running.then(|| std::mem::take(&mut queue.jobs))
    }
}

/// Deletes the oldest rotated file of `log`. False when there is none.
pub(super) fn delete_oldest(log: &Path) -> bool {
    let Ok(files) = list(log) else { return false };
    files
        .first()
        .is_some_and(|oldest| std::fs::remove_file(&oldest.path).is_ok())
}

/// Finishes, deletes and compresses a log's rotated files until they are as `rotation` says.
fn tidy(files: Vec<Rotated>, rotation: &Rotation) -> Result<(), FileError> {
    let files = drop_leftovers(files)?;
    let excess = files.len().saturating_sub(rotation.keep as usize);
    for file in &files[..excess] {
        delete(&file.path)?;
    }
    let mut kept = files[excess..].to_vec();
    if rotation.compress {
        for file in kept.iter_mut().filter(|file| file.form == RotatedForm::Plain) {
            file.path = compress(&file.path)?;
        }
    }
    rotation.max_total.map_or(Ok(()), |limit| shrink(&kept, limit))
}

/// Deletes half compressed files, and plain ones that are compressed already.
fn drop_leftovers(files: Vec<Rotated>) -> Result<Vec<Rotated>, FileError> {
    let mut kept: Vec<Rotated> = Vec::new();
    for file in files {
        match file.form {
            RotatedForm::Unfinished => delete(&file.path)?,
            RotatedForm::Plain => kept.push(file),
            RotatedForm::Compressed => {
                if let Some(plain) = kept.pop_if(|last| last.stamp == file.stamp) {
                    delete(&plain.path)?;
                }
                kept.push(file);
            }
        }
    }
    Ok(kept)
}

/// Deletes the oldest files while all together exceed `limit` bytes.
fn shrink(files: &[Rotated], limit: u64) -> Result<(), FileError> {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |data| data.len());
    let mut total: u64 = files.iter().map(|file| size(&file.path)).sum();
    for file in files {
        if total <= limit {
            break;
        }
        total -= size(&file.path).min(total);
        delete(&file.path)?;
    }
    Ok(())
}

/// Compresses a file, unless the disk might become full of it. Gives the path it has afterwards.
pub(super) fn compress(plain: &Path) -> Result<PathBuf, FileError> {
    if !fits(plain).map_err(failed("find the free space for compressing", plain))? {
        return Ok(plain.to_owned());
    }
    let (unfinished, compressed) = (with_suffix(plain, UNFINISHED), with_suffix(plain, COMPRESSED));
    if let Err(error) = write_compressed(plain, &unfinished) {
        drop(std::fs::remove_file(&unfinished));
        return Err(failed("compress", plain)(error));
    }
    std::fs::rename(&unfinished, &compressed).map_err(failed("rename", &unfinished))?;
    delete(plain)?;
    Ok(compressed)
}

/// Whether the file system has room for a second copy of the file, which compressing needs in the worst case.
fn fits(plain: &Path) -> io::Result<bool> {
    let system = statvfs(plain)?;
    Ok(std::fs::metadata(plain)?.len() < system.f_bavail.saturating_mul(system.f_frsize))
}

fn write_compressed(plain: &Path, unfinished: &Path) -> io::Result<()> {
    let mut source = File::open(plain)?;
    let mode = source.metadata()?.permissions().mode();
    let sink = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode & 0o777)
        .open(unfinished)?;
    let header = GzBuilder::new().extra(extra_field(end_of(&source)?));
    let mut encoder = header.write(sink, Compression::default());
    let mut block = vec![0; 64 << 10];
    loop {
        match source.read(&mut block)? {
            0 => break,
            length => encoder.write_all(&block[..length])?,
        }
    }
    encoder.finish()?.sync_all()
}

/// Deletes a file; one that is gone already is no error.
fn delete(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("delete", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Wraps a system error with what was tried.
fn failed(call: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |error| FileError { call, path, error }
}
