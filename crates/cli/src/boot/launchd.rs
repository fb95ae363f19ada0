//! A property list for launchd. Ostler runs on Linux; the file is for those who build it elsewhere, and can only be printed there.

use super::plan::{Plan, Step};
use super::service::Service;
use ostler_daemon::VERSION;
use std::path::Path;

/// A daemon of the system that runs as the user.
pub fn plan(service: &Service) -> Plan {
    let label = format!("io.{}", service.name);
    let file = Path::new("/Library/LaunchDaemons").join(format!("{label}.plist"));
    let text = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let home = service.home.to_string_lossy();
    let contents = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- Written by `ostler startup` of Ostler {VERSION}. -->
<plist version="1.0">
<dict>
	<key>Label</key>
	<string>{label}</string>
	<key>UserName</key>
	<string>{user}</string>
	<key>ProgramArguments</key>
	<array>
		<string>{program}</string>
		<string>daemon</string>
		<string>--resurrect</string>
	</array>
	<key>EnvironmentVariables</key>
	<dict>
		<key>PATH</key>
		<string>{path}</string>
		<key>OSTLER_HOME</key>
		<string>{home}</string>
	</dict>
	<key>RunAtLoad</key>
	<true/>
	<key>KeepAlive</key>
	<dict>
		<key>SuccessfulExit</key>
		<false/>
	</dict>
	<key>AbandonProcessGroup</key>
	<true/>
	<key>ExitTimeOut</key>
	<integer>90</integer>
	<key>StandardErrorPath</key>
	<string>{home}/ostler.log</string>
</dict>
</plist>
"#,
        user = text(&service.user),
        program = text(&service.program.to_string_lossy()),
        path = text(&service.path),
        home = text(&home),
        label = text(&label),
    );
    let path = file.to_string_lossy().into_owned();
    Plan {
        mode: 0o644,
        contents,
        link: None,
        after_writing: vec![Step::new(&["launchctl", "load", "-w", &path])],
        before_removing: vec![Step::new(&["launchctl", "unload", "-w", &path])],
        after_removing: Vec::new(),
        needs_root: true,
        file,
    }
}
