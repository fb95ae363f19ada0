//! The environment a process was started with, `/proc/<pid>/environ` (proc_pid_environ(5)).

use rustix::process::Pid;
use std::fs;

/// The value of a variable, by the first entry of that name. None also where the process is gone, may not be looked at, or is in the
/// middle of `execve(2)`; and a program can overwrite that memory (as some do to set their title), so a lack of it proves nothing.
pub fn variable(pid: Pid, name: &str) -> Option<Vec<u8>> {
    value(&fs::read(format!("/proc/{pid}/environ")).ok()?, name).map(<[u8]>::to_vec)
}

/// That of a name among entries that are ended by NUL.
fn value<'entries>(entries: &'entries [u8], name: &str) -> Option<&'entries [u8]> {
    entries
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_of_the_name_is_found_and_no_other() {
        let found = |entries: &str| value(entries.as_bytes(), "NAME").map(<[u8]>::to_vec);
        assert_eq!(found("A=1\0NAME=3.1\0NAME=4.1\0B=2\0"), Some(b"3.1".to_vec()));
        assert_eq!(found("\0\0NAME=\0"), Some(Vec::new()));
        for without in ["NAME\0", "NAMES=1\0", "X=NAME=1\0", "", "NAM", "A=NAME\0=1\0"] {
            assert_eq!(found(without), None, "{without:?}");
        }
    }

    #[test]
    fn our_own_is_what_we_see_of_it() {
        let path = std::env::var("PATH").expect("tests have one");
        assert_eq!(variable(rustix::process::getpid(), "PATH"), Some(path.into_bytes()));
    }
}
