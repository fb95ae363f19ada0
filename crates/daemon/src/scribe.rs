//! Small writes to disk, off the reactor: pid files, history, the saved list.
//!
//! One thread does them in the order given, so that a slow or hung file system delays no decision. What went wrong is
//! noted in the daemon's log; what somebody waits for (a `save`) reports by itself.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

type Job = Box<dyn FnOnce() + Send>;

/// The thread's priority: a tenth of the processor time of what is more urgent.
const NICE: i32 = 10;

/// The thread's front.
#[derive(Debug, Clone)]
pub struct Scribe {
    jobs: mpsc::Sender<Job>,
}

impl Scribe {
    /// Starts the thread.
    ///
    /// # Errors
    /// If no thread can be made.
    pub fn start() -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        thread::Builder::new()
            .name("scribe".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || {
                // On Linux the priority is the calling thread's (setpriority(2), "C library/kernel differences").
                let _ = rustix::process::setpriority_process(None, NICE);
                for job in queue {
                    job();
                }
            })?;
        Ok(Self { jobs })
    }

    /// Does something after all that was given before.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        // The thread ends only with the last sender, so this cannot fail.
        let _ = self.jobs.send(Box::new(job));
    }

    /// Writes pid files.
    pub fn write_pids(&self, files: Vec<(PathBuf, i32)>) {
        if files.is_empty() {
            return;
        }
        self.run(move || {
            for (path, pid) in files {
                // A missing pid file hurts nobody but who reads it; a full disk must not be reported a hundred times.
                if std::fs::write(&path, pid.to_string()).is_err()
                    && let Some(parent) = path.parent()
                    && std::fs::create_dir_all(parent).is_ok()
                {
                    let _ = std::fs::write(path, pid.to_string());
                }
            }
        });
    }

    /// Removes a pid file.
    pub fn remove(&self, path: PathBuf) {
        self.run(move || {
            let _ = std::fs::remove_file(path);
        });
    }

    /// Waits until everything given so far is done, at most so long. For the end of the daemon.
    pub fn finish(&self, patience: std::time::Duration) {
        let (done, wait) = mpsc::channel();
        self.run(move || {
            let _ = done.send(());
        });
        let _ = wait.recv_timeout(patience);
    }
}
