//! How a process ended.

/// How a process ended (`wait(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with this exit code (0 to 255).
    Code(i32),
    /// By a signal.
    Signal {
        /// Its number.
        signal: i32,
        /// Whether a core was dumped.
        core_dumped: bool,
    },
}

impl ExitStatus {
    /// Decodes a wait status as `waitpid(2)`, `/proc/<pid>/stat` and `PIDFD_GET_INFO` give it. `None` when the status
    /// speaks of a process that is stopped or continued, not ended.
    pub fn from_wait_status(status: i32) -> Option<Self> {
        if libc::WIFEXITED(status) {
            return Some(Self::Code(libc::WEXITSTATUS(status)));
        }
        libc::WIFSIGNALED(status).then(|| Self::Signal {
            signal: libc::WTERMSIG(status),
            core_dumped: libc::WCOREDUMP(status),
        })
    }

    /// The wait status that [`from_wait_status`](Self::from_wait_status) decodes to this.
    pub fn to_wait_status(self) -> i32 {
        match self {
            Self::Code(code) => (code & 0xff) << 8,
            Self::Signal { signal, core_dumped } => (signal & 0x7f) | if core_dumped { 0x80 } else { 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ExitStatus;

    #[test]
    fn a_wait_status_is_decoded_as_the_kernel_wrote_it() {
        assert_eq!(ExitStatus::from_wait_status(0), Some(ExitStatus::Code(0)));
        assert_eq!(ExitStatus::from_wait_status(0x0700), Some(ExitStatus::Code(7)));
        assert_eq!(
            ExitStatus::from_wait_status(9),
            Some(ExitStatus::Signal {
                signal: 9,
                core_dumped: false
            })
        );
        assert_eq!(
            ExitStatus::from_wait_status(0x8b),
            Some(ExitStatus::Signal {
                signal: 11,
                core_dumped: true
            })
        );
        for status in [0, 0x0700, 9, 0x8b] {
            assert_eq!(
                ExitStatus::from_wait_status(status).map(ExitStatus::to_wait_status),
                Some(status)
            );
        }
        assert_eq!(ExitStatus::from_wait_status(0x137f), None, "stopped by SIGSTOP");
    }
}
