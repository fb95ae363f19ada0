//! Scripts for init systems that only start and stop: OpenRC and System V. They call the commands that a person would type, as
//! the user.

use super::plan::{Plan, Step};
use super::service::{Service, quoted};
use ostler_daemon::VERSION;
use std::path::Path;

/// A script for OpenRC.
pub fn openrc(service: &Service) -> Plan {
    let file = Path::new("/etc/init.d").join(&service.name);
    let network = if service.wait_ip { "need net" } else { "use net" };
    let contents = format!(
        "#!/sbin/openrc-run
# Written by `ostler startup` of Ostler {VERSION}.

description={description}
extra_started_commands=\"reload\"

{as_user}
depend() {{
\tneed localmount
\t{network}
\tuse dns logger netmount
\tafter bootmisc
}}

start() {{
\tebegin \"Starting $RC_SVCNAME\"
\t# Failed apps are no failure of the service, or nothing would stop it at shutdown.
\tas_user resurrect
\tas_user ping >/dev/null
\teend $?
}}

stop() {{
\tebegin \"Stopping $RC_SVCNAME\"
\tas_user kill --drain
\teend $?
}}

reload() {{
\tebegin \"Reloading the apps of $RC_SVCNAME\"
\tas_user reload all
\teend $?
}}

status() {{
\tas_user daemon status
}}
",
        description = quoted(&format!("Ostler, processes of {}", service.user)),
        as_user = as_user(service),
    );
    Plan {
        link: Some((Path::new("/etc/runlevels/default").join(&service.name), file.clone())),
        file,
        mode: 0o755,
        contents,
        after_writing: Vec::new(),
        before_removing: Vec::new(),
        after_removing: Vec::new(),
        needs_root: true,
    }
}

/// A script with an LSB header, for `update-rc.d` or `chkconfig`.
pub fn system_v(service: &Service) -> Plan {
    let name = service.name.as_str();
    let contents = format!(
        "#!/bin/sh
# Written by `ostler startup` of Ostler {VERSION}.
# chkconfig: 2345 80 20
# description: Ostler, processes of {user}
### BEGIN INIT INFO
# Provides:          {name}
# Required-Start:    $local_fs $remote_fs $network
# Required-Stop:     $local_fs $remote_fs $network
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: Ostler, processes of {user}
### END INIT INFO

{as_user}
start() {{
\t# Failed apps are no failure of the service, or nothing would stop it at shutdown.
\tas_user resurrect
\tas_user ping >/dev/null
}}

case \"$1\" in
start) start ;;
stop) as_user kill --drain ;;
restart | force-reload) as_user kill --drain && start ;;
reload) as_user reload all ;;
status) as_user daemon status ;;
*)
\techo \"Usage: $0 {{start|stop|restart|reload|force-reload|status}}\" >&2
\texit 2
\t;;
esac
",
        user = service.user,
        as_user = as_user(service),
    );
    let either = |one: &str, other: &str| {
        let script = format!("if command -v update-rc.d >/dev/null; then {one}; else {other}; fi");
        Step::new(&["sh", "-c", &script])
    };
    Plan {
        file: Path::new("/etc/init.d").join(name),
        mode: 0o755,
        contents,
        link: None,
        after_writing: vec![either(
            &format!("update-rc.d {name} defaults"),
            &format!("chkconfig --add {name} && chkconfig {name} on"),
        )],
        before_removing: vec![either(":", &format!("chkconfig --del {name}"))],
        after_removing: vec![either(&format!("update-rc.d {name} remove"), ":")],
        needs_root: true,
    }
}

/// A function that runs `ostler` as the user, with the surroundings of who set it up: `su` sets a `PATH` of its own. Without a `--`
/// before the words, which BusyBox would pass on; none of them begins with a hyphen.
fn as_user(service: &Service) -> String {
    let inner = format!(
        "PATH={}; OSTLER_HOME={}; export PATH OSTLER_HOME; exec {} \"$@\"",
        quoted(&service.path),
        quoted(&service.home.to_string_lossy()),
        quoted(&service.program.to_string_lossy()),
    );
    format!(
        "as_user() {{\n\tsu -s /bin/sh -c {} -- {} ostler \"$@\"\n}}\n",
        quoted(&inner),
        quoted(&service.user)
    )
}
