//! Starting at boot (docs/design/0014): which init system there is, what it has to be given, and what would fail at the next boot.
//!
//! Called by `startup` and `unstartup`. Files and what is done with them are made as a [`Plan`] first, without touching anything, so
//! that it can be shown (`--print`), tested, and carried out below another root.

pub mod check;
mod init_scripts;
mod launchd;
mod plan;
mod platform;
mod saved;
mod service;
mod systemd;
#[cfg(test)]
mod tests;

pub use plan::Plan;
pub use platform::{Machine, Platform};
pub use service::{Service, Wish};

/// What has to be there for the service to start at boot.
pub fn plan(platform: Platform, service: &Service) -> Plan {
    match platform {
        Platform::Systemd => systemd::plan(service, systemd::Of::System),
        Platform::SystemdUser => systemd::plan(service, systemd::Of::User),
        Platform::OpenRc => init_scripts::openrc(service),
        Platform::SystemV => init_scripts::system_v(service),
        Platform::Launchd => launchd::plan(service),
    }
}

/// Directories that are emptied at boot, or now and then.
const PASSING: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/run"];

/// Whether what lies here may be gone after a boot.
fn is_passing(machine: &Machine, path: &std::path::Path) -> bool {
    PASSING.iter().any(|directory| path.starts_with(machine.at(directory)))
}
