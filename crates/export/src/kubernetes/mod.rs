//! Kubernetes objects. One worker a pod, under `ostler runtime`: what a config says of readiness, draining, memory and restarts holds
//! there as it does here, and what several workers did on one machine is done by several pods.

mod disruption;
mod pod;
mod service;
mod settings;
mod workload;

use crate::container::{self};
use crate::names::{self, Names};
use crate::port::{self, Port};
use crate::probe::Paths;
use crate::remarks::{self, Remarks};
use crate::secret::Parted;
use crate::yaml;
use crate::{Document, Export, Project};
use ostler_core::Spec;
use serde_json::{Map, Value, json};

/// What the command line adds to the config.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The image, e.g. `registry.example.com/shop:1.4.2`; a placeholder stands for it when absent.
    pub image: Option<String>,
    /// Where HTTP probes go.
    pub probes: Paths,
}

/// What an app is to Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// It runs until it is told to end.
    Service,
    /// It runs by the clock, and ends; the pattern.
    Cron(String),
    /// It runs once.
    Job,
}

/// An app, with all that its objects are made of.
struct App<'a> {
    spec: &'a Spec,
    project: &'a Project,
    options: &'a Options,
    /// What its objects are called.
    name: String,
    kind: Kind,
    ports: Vec<Port>,
    settings: Map<String, Value>,
    variables: Parted,
}

/// The objects of each app in a file of its own; what has to be filled in stands in another one.
pub fn kubernetes(specs: &[Spec], project: &Project, options: &Options) -> Export {
    let mut names = Names::default();
    let mut export = Export::default();
    for spec in specs {
        let mut remarks = Remarks::about(&spec.name);
        let name = names.unique(names::dns_label(&spec.name));
        let app = App::new(spec, project, options, name, &mut remarks);
        let objects = app.objects(&mut remarks);
        let title = format!("Made by `ostler export kubernetes`: the app {}.", spec.name);
        let head = remarks::head(&title, remarks.made());
        export
            .documents
            .push(Document::new(format!("{}.yaml", app.name), head + &stream(&objects)));
        if let Some(secret) = settings::secret(&app) {
            let title = format!(
                "Made by `ostler export kubernetes`: the secrets of the app {}. Fill them in, and keep this file out of version control.",
                spec.name
            );
            let text = remarks::head(&title, &[]) + &stream(&[secret]);
            let mut document = Document::new(format!("{}-secret.yaml", app.name), text);
            document.private = true;
            export.documents.push(document);
        }
        export.remarks.extend(remarks.take());
    }
    export
}

fn stream(objects: &[Value]) -> String {
    let documents: Vec<String> = objects.iter().map(yaml::document).collect();
    format!("---\n{}", documents.join("---\n"))
}

impl<'a> App<'a> {
    fn new(spec: &'a Spec, project: &'a Project, options: &'a Options, name: String, remarks: &mut Remarks) -> Self {
        let kind = match (&spec.cron, spec.restart.auto) {
            (Some(pattern), false) => Kind::Cron(pattern.clone()),
            (None, false) => Kind::Job,
            (Some(_) | None, true) => Kind::Service,
        };
        Self {
            spec,
            project,
            options,
            name,
            kind,
            ports: port::ports(spec),
            settings: container::settings(spec, project, remarks),
            variables: settings::sayable(container::variables(spec, project), remarks),
        }
    }

    fn objects(&self, remarks: &mut Remarks) -> Vec<Value> {
        self.say_what_differs(remarks);
        let mut objects = settings::config_maps(self, remarks);
        objects.push(workload::workload(self, remarks));
        if self.kind == Kind::Service {
            objects.extend(service::service(self, remarks));
            objects.extend(disruption::scaling(self, remarks));
            objects.extend(disruption::budget(self));
        }
        objects
    }

    fn say_what_differs(&self, remarks: &mut Remarks) {
        if self.options.image.is_none() {
            remarks.say(format!(
                "say which image it is with --image, or put it in the place of {}",
                self.image()
            ));
        }
        if !self.variables.secret.is_empty() {
            let names = self.variables.secret.join(", ");
            remarks.say(format!(
                "fill in what looks like a secret: {names} (in {}-secret.yaml)",
                self.name
            ));
        }
        pod::say_of_memory(self, remarks);
        pod::say_of_commands(self, remarks);
        if self.spec.instances > 1 {
            remarks.say(format!(
                "`instances`: one worker a pod, and `{}` is 0 in each of them: what only the first worker did, all do now",
                self.spec.environment.instance_var
            ));
        }
        if self
            .spec
            .listen
            .iter()
            .any(|socket| matches!(socket.address, ostler_core::Address::Unix(_)))
        {
            remarks.say("`listen`: a unix socket is reached from within its pod only, and its directory has to be writable: mount an emptyDir there");
        }
        if self.kind == Kind::Service && self.spec.cron.is_some() {
            remarks.say("`cron_restart`: each pod restarts its worker by itself, all at the same time");
        }
    }

    /// The image; the placeholder is one that no registry can have, so that it is noticed.
    fn image(&self) -> String {
        let image = self.options.image.clone();
        image.unwrap_or_else(|| format!("{}/{}", crate::secret::PLACEHOLDER, self.name))
    }

    /// How many pods share the work.
    fn is_shared(&self) -> bool {
        self.spec.instances > 1
    }

    /// The labels that <https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/> recommends.
    fn labels(&self) -> Value {
        let mut labels = self.selector();
        if let Some(version) = self.version() {
            labels["app.kubernetes.io/version"] = version.into();
        }
        let component = match (&self.kind, self.ports.is_empty()) {
            (Kind::Service, false) => "server",
            (Kind::Service, true) => "worker",
            (Kind::Cron(_) | Kind::Job, _) => "job",
        };
        labels["app.kubernetes.io/component"] = component.into();
        labels["app.kubernetes.io/part-of"] = self.part_of().into();
        labels["app.kubernetes.io/managed-by"] = "ostler-export".into();
        labels
    }

    /// What never changes: a Deployment's selector cannot.
    fn selector(&self) -> Value {
        json!({ "app.kubernetes.io/name": self.name, "app.kubernetes.io/instance": self.name })
    }

    fn part_of(&self) -> String {
        let directory = self.project.root.rsplit('/').next().unwrap_or_default();
        let group = if self.spec.namespace == "default" {
            directory
        } else {
            &self.spec.namespace
        };
        let value = names::label_value(group);
        if value.is_empty() { self.name.clone() } else { value }
    }

    /// The image's tag.
    fn version(&self) -> Option<String> {
        let image = self.options.image.as_deref()?.split('@').next()?;
        let (_, tag) = image.rsplit('/').next()?.split_once(':')?;
        Some(names::label_value(tag)).filter(|tag| !tag.is_empty())
    }

    fn metadata(&self, name: &str) -> Value {
        json!({ "name": name, "labels": self.labels() })
    }
}
