//! What of this process lies in memory, as far as we can say anything about it.

use rustix::mm::{Advice, madvise};
use std::ffi::c_void;
use std::{fs, io};

/// Lets go of the code that this process has mapped: what it still runs comes back page by page, by faults that need no disk.
///
/// Starting and being started run much code once. Its pages stay mapped and count as this process's (`VmRSS`) though nothing runs
/// them any more; the page cache has them in any case. To be called when there is nothing to do: it costs the next one who comes a
/// tenth of a millisecond.
///
/// # Errors
/// `/proc` cannot be read.
pub fn let_go_of_code() -> io::Result<()> {
    for mapping in code(&fs::read_to_string("/proc/self/maps")?) {
        let (begin, length) = (mapping.start as *mut c_void, mapping.len());
        // SAFETY: the range is mapped from a file, privately and without the right to write, so the file has every byte of it
        // and nothing is lost (madvise(2), MADV_DONTNEED). Code is never unmapped by us.
        // One that cannot be advised upon (locked in memory) stays.
        #[allow(unsafe_code, reason = "madvise is about raw memory")]
        let _ = unsafe { madvise(begin, length, Advice::LinuxDontNeed) };
    }
    Ok(())
}

/// The executable mappings of files, of what proc_pid_maps(5) has.
fn code(maps: &str) -> impl Iterator<Item = std::ops::Range<usize>> {
    maps.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (begin, end) = words.next()?.split_once('-')?;
        let is_code = words.next() == Some("r-xp");
        let is_file = words.nth(3).is_some_and(|path| path.starts_with('/'));
        let number = |text| usize::from_str_radix(text, 16).ok();
        (is_code && is_file).then_some(number(begin)?..number(end)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_files_is_let_go_of() {
        let maps = "\
            55d0c0000000-55d0c0148000 r--p 00000000 fe:00 1 /usr/bin/ostler\n\
            55d0c0148000-55d0c06a7000 r-xp 00147000 fe:00 1 /usr/bin/ostler\n\
            55d0c06a7000-55d0c06c5000 rw-p 006a5000 fe:00 1 /usr/bin/ostler\n\
            7f0000000000-7f0000001000 r-xp 00000000 00:00 0\n\
            7fff00000000-7fff00001000 r-xp 00000000 00:00 0 [vdso]\n";
        let found: Vec<(usize, usize)> = code(maps).map(|range| (range.start, range.end)).collect();
        assert_eq!(found, [(0x55d0_c014_8000, 0x55d0_c06a_7000)]);
    }

    #[test]
    fn whoever_has_let_go_runs_on_with_less() {
        let resident = || -> u64 {
            let status = fs::read_to_string("/proc/self/status").expect("a status");
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("RssFile:"))
                .expect("a line");
            line.trim().trim_end_matches(" kB").parse().expect("a number")
        };
        let before = resident();
        let_go_of_code().expect("it could look");
        let after = resident();
        assert!(after < before, "{after} of {before} kB");
        assert_eq!(format!("{:?}", vec![1, 2, 3]), "[1, 2, 3]");
    }
}
