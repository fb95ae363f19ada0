//! systemd units by which the same apps run without Ostler: a service for each app, a template and a target for several
//! instances, sockets, and timers.

mod environment;
mod escape;
mod fates;
mod restarts;
mod service;
mod socket;
mod timer;
mod unit;

use crate::names::{self, Names};
use crate::port;
use crate::remarks::Remarks;
use crate::{Document, Export, Project};
use ostler_core::{Mode, Spec};
use unit::Unit;

/// Something that no unit file can say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{app}: `{key}=` of a unit cannot be {value:?}: no line break, other control character, blank or backslash may stand at its end"
)]
pub struct Unsayable {
    /// The app.
    pub app: String,
    /// The setting of the unit.
    pub key: &'static str,
    /// What it should have been.
    pub value: String,
}

/// An app, and what its units are called.
struct App<'a> {
    spec: &'a Spec,
    project: &'a Project,
    /// `api` of `api.service`, `api@.service`, `api.target`, …
    name: String,
}

/// The units of all apps.
///
/// # Errors
/// A path that no unit file can hold.
pub fn systemd(specs: &[Spec], project: &Project) -> Result<Export, Unsayable> {
    let mut names = Names::default();
    let mut export = Export::default();
    for spec in specs {
        let name = names.unique(names::unit(&spec.name));
        let app = App { spec, project, name };
        let mut remarks = Remarks::about(&spec.name);
        app.say_what_differs(&mut remarks);
        export.documents.extend(app.documents(&mut remarks)?);
        export.remarks.extend(remarks.take());
    }
    Ok(export)
}

impl App<'_> {
    fn documents(&self, remarks: &mut Remarks) -> Result<Vec<Document>, Unsayable> {
        let sockets = socket::sockets(self, remarks)?;
        let timer = timer::timer(self, remarks);
        let environment = environment::environment(self, remarks);
        let body = service::body(self, &sockets, &environment, remarks)?;
        let mut service = Unit::new(&self.spec.name, remarks.made()).finish();
        service.push_str(&body);
        let mut documents = vec![Document::new(self.service_file(), service)];
        documents.extend(self.target());
        documents.extend(environment.drop_ins);
        documents.extend(
            sockets
                .into_iter()
                .map(|socket| Document::new(socket.file, socket.text)),
        );
        documents.extend(timer);
        documents.extend(environment.file);
        Ok(documents)
    }

    /// What several instances need of each other is the same as what one needs: a template, then.
    fn is_template(&self) -> bool {
        self.spec.instances > 1
    }

    /// Whether it is started by the clock, and by nothing else.
    fn is_cron_job(&self) -> bool {
        self.spec.cron.is_some() && !self.spec.restart.auto
    }

    fn service_file(&self) -> String {
        format!("{}{}.service", self.name, if self.is_template() { "@" } else { "" })
    }

    /// What is started and stopped as a whole.
    fn whole(&self) -> String {
        format!(
            "{}.{}",
            self.name,
            if self.is_template() { "target" } else { "service" }
        )
    }

    fn instance(&self, number: u32) -> String {
        format!("{}@{number}.service", self.name)
    }

    /// Workers of a cluster that all listen on a port which nobody can give them differently: only one may run.
    fn has_port_of_its_own(&self) -> bool {
        self.spec.mode != Mode::Cluster || port::declared(self.spec).is_some()
    }

    fn target(&self) -> Option<Document> {
        if !self.is_template() {
            return None;
        }
        let mut unit = Unit::new(&self.spec.name, &[]);
        unit.section("Unit");
        unit.line(
            "Description",
            format!("{}, all instances", escape::prose(&self.spec.name)),
        );
        let wanted = if self.has_port_of_its_own() {
            self.spec.instances
        } else {
            1
        };
        // A target stays active once it was started: what runs by the clock is wanted through its timers.
        let kind = if self.is_cron_job() { "timer" } else { "service" };
        let instances: Vec<String> = (0..wanted)
            .map(|number| format!("{}@{number}.{kind}", self.name))
            .collect();
        unit.line("Wants", instances.join(" "));
        if self.spec.autostart {
            unit.section("Install");
            unit.line("WantedBy", "multi-user.target");
        }
        Some(Document::new(format!("{}.target", self.name), unit.finish()))
    }

    fn say_what_differs(&self, remarks: &mut Remarks) {
        let spec = self.spec;
        if spec.mode == Mode::Cluster {
            self.say_of_cluster(remarks);
        }
        if !spec.autostart {
            remarks.say("`autostart: false`: it has no [Install] section, so that nothing starts it at boot");
        }
        if spec.user.is_none() && spec.username == "root" {
            remarks.say("it runs as root, as it did: name a user of its own with `User=`");
        }
        fates::say(spec, remarks);
    }

    fn say_of_cluster(&self, remarks: &mut Remarks) {
        remarks.say(
            "cluster mode needs Ostler: systemd neither shares a port among processes of Node nor drains connections. What is in \
             flight at a stop or restart is lost unless the app closes its server when it is signalled",
        );
        if !self.is_template() {
            return;
        }
        let instances = self.spec.instances;
        match port::declared(self.spec) {
            Some(first) => {
                let last = u32::from(first) + instances - 1;
                remarks.say(format!("each of its {instances} instances has a PORT of its own, {first} to {last}: put a proxy before them"));
            }
            None => remarks.say(format!(
                "only one of its {instances} instances is started, since no config says on which port the others could listen: declare PORT in `env`, and export again"
            )),
        }
    }
}
