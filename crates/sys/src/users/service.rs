//! The system's name service, through libc (`getpwnam_r(3)`, `getgrouplist(3)`). Errors count as "not there":
//! whoever is not local and cannot be looked up cannot be run as either way.

use super::User;
use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;
use std::ptr::null_mut;

/// Room for one entry's strings; entries that need more are taken for broken beyond this.
const LARGEST: usize = 1 << 20;

pub(super) fn user_by_name(name: &str) -> Option<User> {
    let name = CString::new(name).ok()?;
    // SAFETY: passes on what `passwd_entry` gives, and a string that outlives the call.
    passwd_entry(|entry, room, size, found| unsafe { libc::getpwnam_r(name.as_ptr(), entry, room, size, found) })
}

pub(super) fn user_by_number(uid: u32) -> Option<User> {
    // SAFETY: passes on what `passwd_entry` gives.
    passwd_entry(|entry, room, size, found| unsafe { libc::getpwuid_r(uid, entry, room, size, found) })
}

type PasswdCall<'a> = &'a dyn Fn(*mut libc::passwd, *mut c_char, usize, *mut *mut libc::passwd) -> i32;

/// Calls with an entry, room for its strings and its size, and a place for the answer, all valid.
fn passwd_entry(call: impl Fn(*mut libc::passwd, *mut c_char, usize, *mut *mut libc::passwd) -> i32) -> Option<User> {
    let call: PasswdCall<'_> = &call;
    let mut room = vec![0; 1024];
    loop {
        let mut entry = MaybeUninit::uninit();
        let mut found = null_mut();
        match call(entry.as_mut_ptr(), room.as_mut_ptr(), room.len(), &raw mut found) {
            0 if found.is_null() => return None,
            // SAFETY: success with an answer means that `entry` was filled in and points into `room`.
            0 => return Some(unsafe { user(entry.assume_init_ref()) }),
            libc::ERANGE if room.len() < LARGEST => room.resize(room.len() * 2, 0),
            libc::EINTR => {}
            _ => return None,
        }
    }
}

/// # Safety
/// The entry's strings are valid.
unsafe fn user(entry: &libc::passwd) -> User {
    // SAFETY: promised by the caller.
    let text = |string: *const c_char| unsafe { owned(string) };
    User {
        name: text(entry.pw_name),
        uid: entry.pw_uid,
        gid: entry.pw_gid,
        home: text(entry.pw_dir),
        shell: text(entry.pw_shell),
    }
}

/// # Safety
/// `string` is null or ends with NUL.
unsafe fn owned(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: promised by the caller.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}

pub(super) fn group_by_name(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    let mut room = vec![0; 1024];
    loop {
        let mut entry = MaybeUninit::<libc::group>::uninit();
        let mut found = null_mut();
        let (place, size) = (room.as_mut_ptr(), room.len());
        // SAFETY: all pointers are to live variables, with the size of the room.
        match unsafe { libc::getgrnam_r(name.as_ptr(), entry.as_mut_ptr(), place, size, &raw mut found) } {
            0 if found.is_null() => return None,
            // SAFETY: success with an answer means that `entry` was filled in.
            0 => return Some(unsafe { entry.assume_init_ref() }.gr_gid),
            libc::ERANGE if room.len() < LARGEST => room.resize(room.len() * 2, 0),
            libc::EINTR => {}
            _ => return None,
        }
    }
}

/// All groups of a user, the given one included.
pub(super) fn groups_of(name: &str, primary: u32) -> Vec<u32> {
    let Ok(name) = CString::new(name) else {
        return vec![primary];
    };
    let mut groups: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let mut count = i32::try_from(groups.len()).unwrap_or(i32::MAX);
        // SAFETY: `count` is the length of the array, and the kernel's limit (65536) bounds the loop below.
        let fitted = unsafe { libc::getgrouplist(name.as_ptr(), primary, groups.as_mut_ptr(), &raw mut count) };
        if fitted >= 0 {
            groups.truncate(usize::try_from(count).unwrap_or(0));
            return groups;
        }
        if groups.len() >= 65536 {
            return vec![primary];
        }
        groups.resize(groups.len() * 2, 0);
    }
}
