//! Timers: for what runs by the clock, and for what is restarted by it.

use super::App;
use super::escape;
use super::unit::Unit;
use crate::Document;
use crate::cron::Schedule;
use crate::remarks::Remarks;

pub(super) fn timer(app: &App<'_>, remarks: &mut Remarks) -> Vec<Document> {
    let Some(pattern) = &app.spec.cron else {
        return Vec::new();
    };
    let event = match Schedule::parse(pattern) {
        Ok(schedule) => schedule.systemd(),
        Err(unsayable) => {
            remarks.say(format!(
                "`cron_restart` {pattern} is left out: {unsayable} has no form here; write a timer with an OnCalendar= of your own (systemd.time(7))"
            ));
            return Vec::new();
        }
    };
    if app.is_cron_job() {
        remarks.say("`cron_restart` without `autorestart`: the timer starts it by the clock only, not at once");
        return vec![if app.is_template() {
            unit(
                app,
                &format!("{}@", app.name),
                &event,
                &format!("{}@%i.service", app.name),
            )
        } else {
            unit(app, &app.name, &event, &app.service_file())
        }];
    }
    let name = format!("{}-restart", app.name);
    let service = format!("{name}.service");
    vec![unit(app, &name, &event, &service), Document::new(service, restart(app))]
}

fn unit(app: &App<'_>, name: &str, event: &str, starts: &str) -> Document {
    let mut unit = Unit::new(&app.spec.name, &[]);
    unit.section("Unit");
    unit.line("Description", format!("When {} runs", escape::prose(&app.spec.name)));
    unit.section("Timer");
    unit.line("OnCalendar", event);
    // Else up to a minute late.
    unit.line("AccuracySec", "1s");
    unit.line("Unit", starts);
    if app.spec.autostart {
        let wanted_by = if app.is_template() && app.is_cron_job() {
            app.whole()
        } else {
            "timers.target".to_owned()
        };
        unit.section("Install");
        unit.line("WantedBy", wanted_by);
    }
    Document::new(format!("{name}.timer"), unit.finish())
}

/// What runs is restarted; what was stopped stays so.
fn restart(app: &App<'_>) -> String {
    let mut unit = Unit::new(&app.spec.name, &[]);
    unit.section("Unit");
    unit.line("Description", format!("Restarts {}", escape::prose(&app.spec.name)));
    unit.section("Service");
    unit.line("Type", "oneshot");
    unit.line("ExecStart", format!("systemctl try-restart {}", app.whole()));
    unit.finish()
}
